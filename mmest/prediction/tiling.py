"""Which tile answers for which part of a picture."""
from typing import Iterator, List, Tuple

from mmest.datasets.tiles import Box, starts


def _limits(length: int, size: int, overlap: int) -> List[int]:
    """Where one tile hands over to the next: in the middle of what both see."""
    found = starts(length, size, overlap)
    return [0, *((before + size + after) // 2 for before, after in zip(found, found[1:])), length]


def tiles_with_parts(width: int, height: int, size: int, overlap: int) -> Iterator[Tuple[Box, Box]]:
    """Tiles, and the part of the picture that each answers for: farthest from its borders. The parts cover every pixel once."""
    columns, rows = (list(zip(starts(length, size, overlap), limits, limits[1:]))
                     for length in (width, height) for limits in [_limits(length, size, overlap)])
    for y, top, bottom in rows:
        for x, left, right in columns:
            yield (x, y, min(x + size, width), min(y + size, height)), (left, top, right, bottom)
