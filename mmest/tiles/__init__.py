"""Cutting large images into tiles and joining what was found in them, for data sets and for prediction alike."""
