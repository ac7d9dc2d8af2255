"""Training: the hook, the optimizer, starting, resuming, exporting; many models over one backbone."""
