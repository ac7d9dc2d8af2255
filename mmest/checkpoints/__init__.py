"""Checkpoints: deltas, safe and whole files, digests, pretrained weights."""
