"""Inference on whole images of any size, tile by tile."""
