"""Whether images larger than what a network sees are cut or scaled, and which size they have then."""

from pathlib import Path

import numpy as np
import pytest

from mmest.datasets.own import sizes
from mmest.datasets.own.sample import Notes, OwnData, Sample, Thing
from mmest.datasets.own.sizes import cut_or_scale

SMALL = [20] * 10


def images(side: int, objects: list[int]) -> OwnData:
    """One to train and one to validate, with objects of these sides, each twice as wide as high."""
    samples = [
        Sample(Path(f'{split}.png'), f'{split}.png', side, side // 2, split=split, objects=[
            Thing(0, (0, 0, one, one / 2)) for one in objects
        ])
        for split in ('train', 'val')
    ]  # fmt: skip
    return OwnData(Path('own'), 'of a test', ['a'], samples, 'boxes', Notes())


@pytest.mark.parametrize(
    'side, size, task, objects, expected, tiled',
    [
        (300, 100, 'detection', [33] * 10, (1.0, 100), True),  # a third of a tile: whole on one
        (300, 100, 'detection', [34] * 10, (1 / 3, 100), False),
        (300, 100, 'segmentation', [34] * 10, (1.0, 100), True),
        (300, 100, 'detection', [30] * 18 + [90] * 2, (1 / 3, 100), False),
        (300, 100, 'detection', [30] * 19 + [90], (1.0, 100), True),  # one of twenty says nothing
        (126, 100, 'detection', SMALL, (1.0, 100), True),
        (125, 100, 'detection', SMALL, (0.8, 100), False),  # so little more is scaled
        (125, 100, 'segmentation', SMALL, (1.0, 125), False),
        (50, 100, 'detection', SMALL, (2.0, 100), False),  # as was asked for
        (1000, None, 'detection', SMALL, (1.0, 1000), False),
        (1001, None, 'detection', SMALL, (1.0, 800), True),
        (641, None, 'segmentation', SMALL, (1.0, 512), True),
    ],
)
def test_large_images_are_cut_where_objects_stay_whole_and_else_scaled(side, size, task, objects, expected, tiled):
    data = images(side, objects)
    assert cut_or_scale(data, task, size, 0) == pytest.approx(expected)
    assert any(sample.window for sample in data.samples) == tiled


def test_a_raster_that_a_tile_would_hold_has_parts_to_train_and_to_validate(monkeypatch):
    """And labelled ground stays, whatever its pixels look like."""
    monkeypatch.setattr(sizes, 'blank', lambda sample: np.ones((sample.height, sample.width), bool))
    data = images(300, [300])
    data.samples, data.rasters = data.samples[:1], True
    data.samples[0].split = None
    scale, longest = cut_or_scale(data, 'detection', 512, 0)
    assert scale == 1 and longest <= 150
    assert {sample.split for sample in data.samples} == {'train', 'val'}
