"""How much memory a training step would need at sizes that are too large to try.

A backbone under a tuning method runs on torch's meta device, which has shapes and no data: exact at any size, in a
second. Neck and heads look at values (proposals, assignments), so they run for real, at small sizes and behind a
stand-in for the backbone, once for all methods. What they need is, operator by operator, a constant, a share per image,
one per pixel of an image and one per pixel of all images; it is fitted there and carried over.
"""
