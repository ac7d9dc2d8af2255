"""What a backbone is made of, found by looking at it."""
