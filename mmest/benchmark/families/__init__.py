"""Every method on a small member of many families of backbones: what works, what is refused, what fails."""
