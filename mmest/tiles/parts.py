"""Which tile answers for which part of an image."""

from collections.abc import Iterator

from mmest.tiles.grid import Box, starts


def _limits(length: int, size: int, overlap: int) -> list[int]:
    """Where one tile hands over to the next: in the middle of what both see."""
    found = starts(length, size, overlap)
    return [0, *((before + size + after) // 2 for before, after in zip(found, found[1:])), length]


def tiles_with_parts(width: int, height: int, size: int, overlap: int) -> Iterator[tuple[Box, Box]]:
    """Tiles, and the part of the image that each answers for: farthest from its borders. The parts cover every pixel
    once.
    """
    columns, rows = (
        list(zip(starts(length, size, overlap), limits, limits[1:]))
        for length in (width, height)
        for limits in [_limits(length, size, overlap)]
    )
    for y, top, bottom in rows:
        for x, left, right in columns:
            yield (x, y, min(x + size, width), min(y + size, height)), (left, top, right, bottom)
