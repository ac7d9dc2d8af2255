"""How much memory a training step would need at sizes that are too large to try.

A backbone under a tuning method runs on fake tensors, which have shapes and no data: exact at any size, in seconds.
    Neck and heads
look at values (proposals, assignments), so they run for real at small sizes. What the whole step needs beyond the
backbone is, operator by operator, a constant, a share per image, one per pixel of an image and one per pixel of all
images; it is fitted there and carried over.
"""
