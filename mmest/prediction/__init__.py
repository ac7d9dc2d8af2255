"""Inference on whole pictures of any size, tile by tile."""
