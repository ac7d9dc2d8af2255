"""Users' own data: found, read, split, prepared for training, without an edit.

One file per format; each has ``finds(path)`` and ``read(path)``. :mod:`detect` asks them in turn.
"""
