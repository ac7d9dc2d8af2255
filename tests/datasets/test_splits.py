"""Patches of one tile never stand on both sides of the default split."""

import re

import pytest
from mmengine.config import Config

from mmest.configs import configs_root

BASES = configs_root() / '_base_/datasets'


def prefixes(name: str) -> dict[str, tuple]:
    cfg = Config.fromfile(BASES / f'{name}_segmentation.py')
    loaders = {split: cfg[f'{split}_dataloader'].dataset for split in ('train', 'val', 'test')}
    return {split: (one.get('ann_file', ''), one.data_prefix.img_path) for split, one in loaders.items()}


def test_dubai_holds_out_tiles_by_its_lists():
    apart = prefixes('dubai')
    assert apart == dict(
        train=('splits/tiles_apart_train.txt', 'img_dir'),
        val=('splits/tiles_apart_val.txt', 'img_dir'),
        test=('splits/tiles_apart_val.txt', 'img_dir'),
    )
    assert prefixes('dubai_neighbouring') == dict(
        train=('', 'img_dir/train'), val=('', 'img_dir/val'), test=('', 'img_dir/val')
    )


def test_tiles_stand_on_one_side():
    folder = configs_root().parent.parent / 'shared/data/dubai_seg/splits'
    if not folder.is_dir():
        pytest.skip('the lists of dubai_seg are not beside the project')
    tiles = {
        split: {re.search(r't\d+', line)[0] for line in (folder / f'tiles_apart_{split}.txt').read_text().split()}
        for split in ('train', 'val')
    }
    assert len(tiles['train']) == 5 and len(tiles['val']) == 3 and not tiles['train'] & tiles['val']


def test_roads_are_the_second_of_two_classes():
    pytest.importorskip('mmseg')
    from mmest.datasets.segmentation.epfl_road import EPFLRoadDataset

    dataset = EPFLRoadDataset(lazy_init=True, pipeline=[])
    assert dataset.metainfo['classes'] == ('background', 'road') and not dataset.reduce_zero_label
    assert Config.fromfile(BASES / 'epfl_road_segmentation.py').num_classes == 2
