"""DOTA's pictures are detected patch by patch and scored whole."""
