"""Words choose a part of a grid."""

import pytest

from mmest.benchmark.cell import Cell
from mmest.benchmark.selection import select


def cell(kind, data, stem, method, seed=None, variant=''):
    about = dict(kind=kind, config=f'configs/detection/{data}/{stem}_est.py', variant=variant)
    about.update(dict(tunings=method) if isinstance(method, dict) else dict(method=method))
    return Cell(f'{kind} {data} {stem} {method} {seed}', about if seed is None else dict(about, seed=seed))


CELLS = [
    cell('accuracy', data, stem, method, seed)
    for data in ('dior', 'dota')
    for stem in ('faster-rcnn_swin-t', 'retinanet_swin-b')
    for method in ('est', 'full', 'lora')
    for seed in (0, 1)
] + [cell('time', 'dior', 'faster-rcnn_swin-t', dict(est={}, lora={}), variant='with no change')]


@pytest.mark.parametrize(
    'words, count',
    [
        ('dior', 13),
        ('dior,est,full', 9),
        ('dior,dota,est', 9),
        ('swin-b,seed1,lora', 2),
        ('retinanet,dota', 6),
        ('time', 1),
        ('with-no-change', 1),
    ],
)
def test_words_of_one_kind_are_alternatives(words, count):
    assert len(select(CELLS, words.split(','))) == count


@pytest.mark.parametrize(
    'words, message',
    [
        ('doir', 'Nothing in the grid is called "doir"; there are dior'),
        ('time,seed1', 'No cell of the grid is all of time, seed1'),
    ],
)
def test_words_that_fit_nothing_get_a_sentence(words, message):
    with pytest.raises(ValueError, match=message):
        select(CELLS, words.split(','))


def test_a_kind_goes_before_a_variant_of_its_name():
    cells = [
        cell('memory', 'dior', 'retinanet_swin-b', 'est'),
        cell('time', 'dior', 'retinanet_swin-b', 'est', variant='memory'),
    ]
    assert select(cells, ['memory']) == cells[:1]
