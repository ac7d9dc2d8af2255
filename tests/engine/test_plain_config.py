"""The config that an export writes for plain mmdet and mmseg."""

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmest.config_parts import parts_of
from mmest.configs import read_config
from mmest.engine import plain_config as module
from mmest.engine.plain_config import plain_config

SEGMENTATION = ['dubai/segformer', 'epfl_road/fcn', 'loveda/upernet', 'custom/segformer']


@pytest.fixture
def said(monkeypatch):
    """What is logged."""
    sentences = []
    monkeypatch.setattr(module, 'print_log', lambda text, **_: sentences.append(text))
    return sentences


def types_of_ours():
    """Names that importing mmest registers, in every registry of mmengine."""
    import mmengine.registry as registries

    return {
        name
        for registry in vars(registries).values()
        if isinstance(registry, registries.Registry)
        for name, kind in registry.module_dict.items()
        if kind.__module__.startswith('mmest')
    }


@pytest.mark.parametrize(
    'name',
    [
        *(f'segmentation/{name}' for name in SEGMENTATION),
        *(f'detection/{name}' for name in ('dior/retinanet', 'dota/faster-rcnn', 'hrplanes/retinanet')),
    ],
)
@pytest.mark.parametrize('wrapper', ['OptimWrapper', 'Bfloat16OptimWrapper'])
def test_a_plain_config_names_nothing_of_ours(name, wrapper, said):
    """Nor does one of a training by several processes."""
    cfg = read_config(f'mmest::{name}', tuning='full')
    cfg.optim_wrapper.type = wrapper
    cfg.model_wrapper_cfg = dict(type='TunedDataParallel', broadcast_buffers=False)
    plain = plain_config(cfg)
    ours = types_of_ours()
    assert {'DubaiDataset', 'ESTHook', 'TunedDataParallel'} <= ours
    assert not ours & {value for _, part in parts_of(plain) for value in part.values() if isinstance(value, str)}
    assert 'mmest' not in str(plain.get('custom_imports'))
    if 'dubai' not in name:
        assert not said
        assert plain.optim_wrapper.optimizer == cfg.optim_wrapper.optimizer
        kinds = dict(OptimWrapper=('OptimWrapper', None), Bfloat16OptimWrapper=('AmpOptimWrapper', 'bfloat16'))
        assert (plain.optim_wrapper.type, plain.optim_wrapper.get('dtype')) == kinds[wrapper]


def roads(folder):
    """An image and a mask, under the suffixes of EPFL's roads."""
    for split in ('train', 'val'):
        for kind, suffix, shape in (('img_dir', '.jpg', (8, 8, 3)), ('ann_dir', '.png', (8, 8))):
            path = folder / kind / split / f'one{suffix}'
            path.parent.mkdir(parents=True)
            cv2.imwrite(str(path), np.ones(shape, np.uint8))
    return folder


@pytest.mark.parametrize('metainfo', [{}, dict(palette=[[1, 2, 3], [4, 5, 6]])])
def test_a_plain_data_set_of_masks_finds_the_same_files(tmp_path, said, metainfo):
    cfg = read_config('mmest::segmentation/epfl_road/segformer', tuning='full')
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[loader].dataset.update(data_root=str(roads(tmp_path / loader)), metainfo=metainfo)
    plain = plain_config(cfg)
    with DefaultScope.overwrite_default_scope('mmseg'):
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            before, after = (DATASETS.build(dict(one[loader].dataset, pipeline=[])) for one in (cfg, plain))
            assert type(after).__name__ == 'BaseSegDataset'
            assert after.metainfo == before.metainfo
            assert len(after) == 1 and after[0] == before[0]
    assert not said


@pytest.mark.parametrize(
    ('name', 'classes', 'kind'),
    [
        ('dubai/segformer', None, 'DubaiDataset'),
        ('dubai_neighbouring/fcn', ('road', 'water'), 'DubaiDataset'),
        ('epfl_road/fcn', ('road',), 'EPFLRoadDataset'),
    ],
)
def test_masks_with_other_numbers_than_the_classes_are_neither_trained_on_nor_scored(name, classes, kind, said):
    """Unlabelled ground of Dubai has a number, and what is no class any more of a selection."""
    cfg = read_config(f'mmest::segmentation/{name}', tuning='full')
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        cfg[loader].dataset.update(metainfo=dict(classes=classes) if classes else {})
    expected = DATASETS.build(dict(cfg.test_dataloader.dataset, lazy_init=True, pipeline=[])).metainfo
    plain = plain_config(cfg)
    assert [kind in sentence for sentence in said] == [True] and 'neither trains nor tests' in said[0]
    assert not {'optim_wrapper', 'train_cfg', 'test_cfg', 'test_evaluator', 'val_evaluator'} & plain.keys()
    dataset = plain.test_dataloader.dataset
    assert dataset.type == 'BaseSegDataset' and dataset.pipeline == cfg.test_dataloader.dataset.pipeline
    assert dataset.metainfo == {key: expected[key] for key in ('classes', 'palette')}


def test_boxes_that_are_read_otherwise_are_neither_trained_on_nor_scored(said, monkeypatch):
    """As oriented ones are: their data sets give corners."""
    from mmest.datasets.detection.dior import DIORDataset

    class Corners(DIORDataset):
        def parse_data_info(self, raw_data_info):
            return super().parse_data_info(raw_data_info)

    Corners.__module__ = 'mmest.datasets.corners'
    monkeypatch.setitem(DATASETS.module_dict, 'Corners', Corners)
    cfg = read_config('mmest::detection/dior/retinanet', tuning='full')
    cfg.test_dataloader.dataset.type = 'Corners'
    plain = plain_config(cfg)
    assert len(said) == 1 and 'as Corners does' in said[0]
    assert plain.test_dataloader.dataset.type == 'CocoDataset' and 'test_evaluator' not in plain


def test_levels_of_images_are_said(said):
    cfg = read_config('mmest::segmentation/custom/segformer', tuning='full')
    cfg.image_scale = (100.0, 2500.0)
    plain_config(cfg)
    assert len(said) == 1 and 'values of 100 to 2500' in said[0]


@pytest.mark.parametrize(
    'bands, became', [([4, 3, 2], 'bands 4, 3, 2 of images became red, green'), (8, 'band 8 of images became grey')]
)
def test_bands_of_images_are_said(bands, became, said):
    cfg = read_config('mmest::segmentation/custom/segformer', tuning='full')
    cfg.image_bands = bands
    plain_config(cfg)
    assert len(said) == 1 and became in said[0]


@pytest.mark.parametrize('name', ['dior/faster-rcnn', 'dota/retinanet', 'custom/retinanet'])
def test_a_plain_config_names_data_sets_of_mmdet(name, tmp_path):
    """Which builds one of the test wherever it opens a detector."""
    cfg = read_config(f'mmest::detection/{name}', tuning='full')
    plain_config(cfg).dump(tmp_path / 'plain.py')
    plain = Config.fromfile(tmp_path / 'plain.py')
    with DefaultScope.overwrite_default_scope('mmdet'):
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            before, after = (DATASETS.build(dict(one[loader].dataset, lazy_init=True)) for one in (cfg, plain))
            assert type(after).__module__.startswith('mmdet.')
            assert after.metainfo['classes'] == before.metainfo['classes']
            assert after.ann_file == before.ann_file


def test_a_plain_config_of_dota_scores_what_mmdet_knows(tmp_path):
    """Its metric merges patches, and is mmest's."""
    cfg = read_config('mmest::detection/dota/retinanet', tuning='full')
    before = cfg.pretty_text
    plain_config(cfg).dump(tmp_path / 'plain.py')
    assert cfg.pretty_text == before
    plain = Config.fromfile(tmp_path / 'plain.py')
    for kind in ('val', 'test'):
        data, scored = plain[f'{kind}_dataloader'].dataset, plain[f'{kind}_evaluator']
        assert scored == dict(type='CocoMetric', ann_file=data.data_root + data.ann_file, metric='bbox')
        assert scored.ann_file.endswith('dota/annotations/val_patches.json')
    assert 'DOTABoxMetric' not in plain.pretty_text
