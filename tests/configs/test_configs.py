"""Every shipped config can be read and built; no weights, no data."""

import functools
import importlib
import importlib.util

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmest.configs import (
    available_backbones,
    available_tunings,
    configs_root,
    open_config,
    set_options,
    set_tuning,
)
from mmest.configs.names import shipped_configs
from mmest.datasets.checks import check_data
from mmest.tuning import tuning_names

# Those of oriented boxes cannot even be read without mmrotate: see test_oriented.py.
LEAVES = [
    leaf for leaf in shipped_configs() if leaf.partition('/oriented')[1] == '' or importlib.util.find_spec('mmrotate')
]
# What differs between them is built small in test_switches.py.
BUILT = [leaf for leaf in LEAVES if leaf.endswith(('custom/retinanet', 'custom/upernet', 'dior_r/oriented-rcnn'))]


@functools.cache
def read(leaf: str) -> Config:
    """As mmengine itself reads it: a config is whole without mmest's help."""
    return Config.fromfile(shipped_configs()[leaf])


def build(cfg: Config) -> torch.nn.Module:
    pytest.importorskip(cfg.default_scope)
    scope = cfg.model.backbone.backbone.type.partition('.')
    if scope[1]:
        pytest.importorskip(scope[0])
    importlib.import_module(f'{cfg.default_scope}.models')
    init_default_scope(cfg.default_scope)
    return MODELS.build(cfg.model)


@pytest.mark.parametrize('leaf', LEAVES)
def test_says_what_a_training_needs(leaf):
    cfg = read(leaf)
    assert cfg.model.backbone.type == 'TunedBackbone'
    assert cfg.model.backbone.tuning.type == 'EST'
    inner = cfg.model.backbone.backbone
    assert inner.init_cfg.type == 'Pretrained' and inner.init_cfg.checkpoint
    assert not inner.init_cfg.checkpoint.startswith('torchvision://'), 'torchvision is not among the requirements'
    assert not inner.get('with_cp')
    assert cfg.model.get('pretrained') is None
    assert dict(type='ESTHook') in cfg.custom_hooks
    assert cfg.optim_wrapper.constructor == 'TrainableOptimWrapperConstructor'
    assert cfg.default_hooks.checkpoint.max_keep_ckpts >= 2
    assert not cfg.train_dataloader.persistent_workers, 'a resumed training would see other augmentation'
    assert all(cfg.get(f'{split}_cfg') for split in ('train', 'val', 'test'))
    assert len(cfg.optim_wrapper.paramwise_cfg) and len(cfg.param_scheduler)


@pytest.mark.parametrize('leaf', LEAVES)
def test_heads_have_the_classes_of_the_data(leaf):
    cfg = read(leaf)
    model = cfg.model
    heads = [model[name] for name in ('decode_head', 'auxiliary_head', 'bbox_head') if model.get(name)]
    stages = model.roi_head.bbox_head if 'roi_head' in model else []
    heads += stages if isinstance(stages, list) else [stages]
    assert heads and all(head.num_classes == cfg.num_classes for head in heads)


@pytest.mark.parametrize('leaf', BUILT)
def test_builds_and_sends_a_gradient_to_all_that_trains(leaf, empty_init):
    cfg = read(leaf)
    model = build(cfg).train()
    # One level that reaches no loss would stop training on several GPUs.
    features = model.extract_feat(torch.rand(1, 3, 64, 64))
    sum(feature.square().mean() for feature in features).backward()
    beneath = [module for module in (model.backbone, model.neck if model.with_neck else None) if module is not None]
    idle = [name for module in beneath for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle


def test_the_grid_is_complete():
    expected = {
        f'detection/{data}/{head}'
        for data in ('custom', 'dior', 'dota')
        for head in ('faster-rcnn', 'retinanet', 'cascade-rcnn')
    }
    expected |= {f'detection/{data}/oriented-rcnn' for data in ('dior_r', 'dota')}
    expected |= {
        f'segmentation/{data}/{head}'
        for data in (
            'custom',
            'potsdam_six-classes',
            'potsdam_five-classes',
            'vaihingen_six-classes',
            'vaihingen_five-classes',
            'loveda',
            'isaid',
        )
        for head in ('upernet', 'segformer')
    }
    assert expected <= set(shipped_configs())
    assert {'swin-t', 'swin-b', 'swin-l', 'vit-b', 'r50', 'convnext-b'} <= set(available_backbones())


def test_dota_keeps_the_detections_of_a_crowded_patch():
    for leaf in LEAVES:
        if 'dota/' in leaf:
            test_cfg = read(leaf).model.test_cfg
            assert (test_cfg.get('rcnn') or test_cfg).max_per_img == 2000, leaf


def test_detectors_of_own_data_keep_and_score_the_objects_of_a_crowded_tile():
    scored = pytest.importorskip('mmdet.evaluation').CocoMetric().proposal_nums[-1]
    for leaf in LEAVES:
        if 'detection/custom/' in leaf:
            test_cfg = read(leaf).model.test_cfg
            last = test_cfg.get('rcnn') or test_cfg
            assert last.max_per_img == (test_cfg.get('rpn') or last).nms_pre == scored == 1000, leaf


def test_dubai_ignores_unlabelled_ground():
    pytest.importorskip('mmseg')
    from mmest.datasets.segmentation.dubai import DubaiDataset

    dataset = DubaiDataset(lazy_init=True, pipeline=[])
    assert dataset.label_map == {5: 255}
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 5


def test_every_method_can_be_built(empty_init):
    cfg = open_config('segmentation/dubai/segformer_deit-t')
    cfg.model.backbone.backbone.update(num_layers=4, out_indices=(0, 1, 2, 3))
    for tuning in available_tunings():
        set_tuning(cfg, tuning)
        assert type(build(cfg).backbone.method).__name__.lower() == tuning.replace('_', '')


def test_every_method_has_a_config_and_every_config_a_method():
    assert {name.replace('_', '') for name in available_tunings()} == {name.lower() for name in tuning_names()}


@pytest.mark.parametrize('value', ['nowhere', None])
def test_missing_data_names_the_variable(monkeypatch, tmp_path, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMEST_DATA', value) if value else monkeypatch.delenv('MMEST_DATA', raising=False)
    cfg = Config.fromfile(configs_root() / 'segmentation/dubai/segformer.py')
    with pytest.raises(FileNotFoundError, match=f'{value or "data"}/dubai_seg is not there.*MMEST_DATA.*data_root'):
        check_data(cfg, ['train'])


def test_a_list_in_the_place_of_a_tuple_is_one():
    scale, levels = 'train_dataloader.dataset.pipeline.2.scale', 'model.neck.in_channels'
    cfg = open_config('detection/dior/faster-rcnn')
    set_options(cfg, {scale: [96, 64], 'train_dataloader.num_workers': [1], levels: [1, 2], 'train_cfg.new': [3]})
    assert cfg.train_dataloader.dataset.pipeline[2].scale == (96, 64) and cfg.train_dataloader.num_workers == [1]
    assert cfg.model.neck.in_channels == [1, 2] and cfg.train_cfg.new == [3]
    set_options(cfg, {scale: (32, 32)})
    assert cfg.train_dataloader.dataset.pipeline[2].scale == (32, 32)
