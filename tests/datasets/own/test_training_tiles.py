"""Tiles of large images: which pixels are on them, counted one by one."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from mmest.datasets.own.cutting import _without_most_empty, cut
from mmest.datasets.own.sample import Notes, OwnData, Sample, Thing

SIZE = 16
OVERLAP = 3  # a fifth
# Smaller than a tile, a tile, a pixel more, whole tiles with overlap and without, and what lies between.
SIDES = (1, 5, 15, 16, 17, 28, 29, 30, 31, 32, 33, 42, 48, 50)


def scenes(width: int, height: int, labels: str, splits: tuple = ('train', 'val')) -> OwnData:
    """An image for each split, with one object all over it, or a mask."""
    things = [] if labels == 'masks' else [Thing(0, (0, 0, width, height))]
    mask = Path('mask.png') if labels == 'masks' else None
    samples = [
        Sample(Path(f'{i}.png'), f'{i}.png', width, height, list(things), mask, split) for i, split in enumerate(splits)
    ]
    read_mask = (lambda path: np.zeros((height, width), np.uint8)) if mask else None
    return OwnData(Path('own'), 'of a test', ['a'], samples, labels, Notes(), read_mask)


def times_seen(windows: list, width: int, height: int) -> np.ndarray:
    seen = np.zeros((height, width), int)
    for x, y in itertools.product(range(width), range(height)):
        seen[y, x] = sum(x0 <= x < x1 and y0 <= y < y1 for x0, y0, x1, y1 in windows)
    return seen


def holds_every_stretch(spans: set, length: int, stretch: int) -> bool:
    """Whether whatever is no longer than a stretch is whole on one of the spans."""
    return all(
        any(begin <= first and first + stretch <= end for begin, end in spans)
        for first in range(max(1, length - stretch + 1))
    )


@pytest.mark.parametrize('labels', ['boxes', 'masks'])
@pytest.mark.parametrize(('width', 'height'), [*((side, 20) for side in SIDES), *((20, side) for side in SIDES)])
def test_tiles_cover_every_pixel_and_share_what_is_asked(width, height, labels):
    data = scenes(width, height, labels)
    cut(data, SIZE)
    for split in ('train', 'val'):
        windows = [sample.window for sample in data.samples if sample.split == split]
        assert len(set(windows)) == len(windows)
        assert all((x1 - x0, y1 - y0) == (min(SIZE, width), min(SIZE, height)) for x0, y0, x1, y1 in windows)
        assert all(x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height for x0, y0, x1, y1 in windows)
        assert times_seen(windows, width, height).min() >= 1
        # Objects that are no larger than the overlap train whole; ground has none, and what validates counts once.
        overlap = OVERLAP if split == 'train' and labels == 'boxes' else 0
        columns, rows = {(x0, x1) for x0, _, x1, _ in windows}, {(y0, y1) for _, y0, _, y1 in windows}
        for spans, length in ((columns, width), (rows, height)):
            assert holds_every_stretch(spans, length, min(max(overlap, 1), length))
            assert len(spans) == max(1, math.ceil((length - overlap) / (SIZE - overlap))), 'no more than it takes'
        assert len(windows) == len(columns) * len(rows)


@pytest.mark.parametrize('labels', ['boxes', 'masks'])
def test_an_image_that_fits_a_tile_stays_whole(labels):
    data = scenes(SIZE, SIZE, labels)
    cut(data, SIZE)
    assert [(sample.window, sample.width, sample.height) for sample in data.samples] == [(None, SIZE, SIZE)] * 2


@pytest.mark.parametrize('labels', ['boxes', 'masks'])
@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize(
    ('width', 'height'),
    [(17, 1), (17, 4), (4, 17), (20, 5), (17, 17), (33, 33), (64, 64), (100, 8), (65, 31), (95, 97)],
)
def test_what_validates_on_a_scene_is_away_from_what_trains(width, height, seed, labels):
    """On strips too, whose blocks are narrow."""
    data = scenes(width, height, labels, splits=(None,))
    cut(data, SIZE, seed)
    windows = {split: [one.window for one in data.samples if one.split == split] for split in ('train', 'val')}
    assert windows['train'] and windows['val']
    for x0, y0, x1, y1 in itertools.chain(*windows.values()):
        assert 0 <= x0 < x1 <= min(width, x0 + SIZE) and 0 <= y0 < y1 <= min(height, y0 + SIZE)
    seen = {split: times_seen(found, width, height) > 0 for split, found in windows.items()}
    pixels = {split: np.argwhere(found) for split, found in seen.items()}
    apart = min(abs(pixels['val'] - one).max(1).min() for one in pixels['train']) - 1
    narrow = min(width, height) < 2 * SIZE
    assert apart >= 2 * (SIZE // 8) or narrow and apart >= 1
    left_out = ~(seen['train'] | seen['val'])
    assert left_out.mean() <= 0.5


def test_one_empty_training_tile_is_kept_for_four_with_objects():
    def pieces(split: str, number: int, objects: list) -> list[Sample]:
        return [Sample(Path('a.png'), f'{split}{i}.png', SIZE, SIZE, objects, split=split) for i in range(number)]

    held, empty = pieces('train', 9, [Thing(0, (1, 1, 5, 5))]), pieces('train', 7, [])
    validates = pieces('val', 3, []) + pieces('test', 2, [])
    found = _without_most_empty(held + empty + validates, 0, Notes())
    assert [one for one in found if one not in empty] == held + validates
    assert sum(one in empty for one in found) == 2
