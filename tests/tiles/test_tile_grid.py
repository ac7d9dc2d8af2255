import itertools

import numpy as np
import pytest

from mmest.tiles.grid import starts, tiles


@pytest.mark.parametrize('length, expected', [(1, [0]), (100, [0]), (101, [0, 1]), (180, [0, 80]), (181, [0, 80, 81])])
def test_starts(length, expected):
    assert starts(length, 100, 20) == expected


@pytest.mark.parametrize(
    'width, height, size, overlap', list(itertools.product((50, 100, 333), (100, 257), (100,), (0, 30)))
)
def test_tiles_cover_the_image_and_overlap(width, height, size, overlap):
    seen = np.zeros((height, width), int)
    found = tiles(width, height, size, overlap)
    for x0, y0, x1, y1 in found:
        assert (x1 - x0, y1 - y0) == (min(size, width), min(size, height))
        seen[y0:y1, x0:x1] += 1
    assert seen.min() >= 1 and len(set(found)) == len(found)
    columns = sorted({x0 for x0, *_ in found})
    assert all(right - left <= size - overlap for left, right in zip(columns, columns[1:]))
