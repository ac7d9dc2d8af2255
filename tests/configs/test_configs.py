"""Every shipped config can be read and built; no weights, no data."""

import functools
import importlib
import importlib.util
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmest.configs import available_tunings, configs_root, set_tuning
from mmest.datasets.checks import check_data
from mmest.tuning import tuning_names

ROOT = configs_root()
# Those of oriented boxes cannot even be read without mmrotate: see test_oriented.py.
LEAVES = sorted(
    path.relative_to(ROOT).as_posix()
    for task in ('detection', 'segmentation')
    for path in (ROOT / task).rglob('*.py')
    if not path.name.startswith('oriented') or importlib.util.find_spec('mmrotate')
)
# Backbones of one family differ in numbers only: the smallest of each stands for it. Data sets differ in their classes
# only: one stands for all.
BUILT = [
    leaf
    for leaf in LEAVES
    if leaf.endswith('_est.py')
    and not any(
        part in leaf
        for part in (
            'swin-s',
            'swin-b',
            'swin-l',
            'dota/',
            'dior/faster',
            'dior/retina',
            'six-classes/upernet',
            'five-classes/',
            'vaihingen',
            'loveda/',
            'isaid/',
        )
    )
]
OFFICIAL = [
    leaf
    for leaf in LEAVES
    if leaf.split('/')[1].partition('_')[0] in ('dior', 'dota', 'potsdam', 'vaihingen', 'loveda', 'isaid')
]


@functools.cache
def read(leaf: str) -> Config:
    return Config.fromfile(ROOT / leaf)


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
    method = Path(leaf).stem.rpartition('_')[2]
    assert method in available_tunings()
    assert cfg.model.backbone.type == 'TunedBackbone'
    assert cfg.model.backbone.tuning.type.lower() == method
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
def test_builds_and_sends_a_gradient_to_all_that_trains(leaf):
    cfg = read(leaf)
    model = build(cfg).train()
    # One level that reaches no loss would stop training on several GPUs.
    features = model.extract_feat(torch.rand(1, 3, 64, 64))
    sum(feature.square().mean() for feature in features).backward()
    beneath = [module for module in (model.backbone, model.neck if model.with_neck else None) if module is not None]
    idle = [name for module in beneath for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert not idle


def test_swin_sizes_fit_the_neck_and_heads():
    for leaf in LEAVES:
        cfg = read(leaf)
        inner = cfg.model.backbone.backbone
        if inner.type != 'SwinTransformer':
            continue
        widths = [inner.embed_dims * 2**stage for stage in inner.out_indices]
        taken = cfg.model.neck.in_channels if 'neck' in cfg.model else cfg.model.decode_head.in_channels
        assert list(taken) == widths, leaf


def test_the_grid_is_complete():
    backbones = ('swin-t', 'swin-b', 'swin-l', 'vit-b', 'r50', 'convnext-b')
    expected = [
        f'detection/{data}/{detector}_{backbone}_{method}.py'
        for data in ('dior', 'dota')
        for detector in ('faster-rcnn', 'retinanet', 'cascade-rcnn')
        for backbone in backbones
        for method in ('full', 'est')
    ]
    expected += [
        f'detection/{data}/oriented-rcnn_{backbone}_{method}.py'
        for data in ('dior_r', 'dota')
        for backbone in backbones
        for method in ('full', 'est')
        if importlib.util.find_spec('mmrotate')
    ]
    expected += [
        f'segmentation/{data}/{head}_{backbone}_{method}.py'
        for data in (
            'potsdam_six-classes',
            'potsdam_five-classes',
            'vaihingen_six-classes',
            'vaihingen_five-classes',
            'loveda',
            'isaid',
        )
        for head in ('upernet', 'segformer')
        for backbone in backbones
        for method in ('full', 'est')
    ]
    assert sorted(expected) == sorted(OFFICIAL)


def model_of(leaf: str) -> str:
    """What tells two models apart, besides the number of classes and of detections."""
    return re.sub(r"'(num_classes|max_per_img)': \d+|'size': \([^)]*\)", '', repr(read(leaf).model.to_dict()))


@pytest.mark.parametrize('leaf', sorted({model_of(leaf): leaf for leaf in OFFICIAL}.values()))
def test_every_model_of_the_grid_builds(leaf, monkeypatch):
    """Values are left as they come: filling the large ones with random numbers would take minutes."""
    for name in (
        'uniform_',
        'normal_',
        'kaiming_uniform_',
        'trunc_normal_',
        'constant_',
        'xavier_uniform_',
        'ones_',
        'zeros_',
    ):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor)
    cfg = read(leaf)
    model = build(cfg)
    assert type(model.backbone.method).__name__ == cfg.model.backbone.tuning.type


def test_dota_keeps_the_detections_of_a_crowded_patch():
    for leaf in OFFICIAL:
        if 'dota/' in leaf:
            test_cfg = read(leaf).model.test_cfg
            assert (test_cfg.get('rcnn') or test_cfg).max_per_img == 2000, leaf


def test_dubai_ignores_unlabelled_ground():
    pytest.importorskip('mmseg')
    from mmest.datasets.dubai import DubaiDataset

    dataset = DubaiDataset(lazy_init=True, pipeline=[])
    assert dataset.label_map == {5: 255}
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 5


@pytest.mark.parametrize(
    'leaf', ['detection/custom/retinanet_r50_est.py', 'segmentation/dubai/segformer_deit-t_est.py']
)
@pytest.mark.parametrize('name', available_tunings())
def test_methods_can_be_swapped(leaf, name):
    cfg = Config.fromfile(ROOT / leaf)
    set_tuning(cfg, name)
    assert type(build(cfg).backbone.method).__name__.lower() == name.replace('_', '')


def test_every_method_has_a_config_and_every_config_a_method():
    assert {name.replace('_', '') for name in available_tunings()} == {name.lower() for name in tuning_names()}


def test_est_backbone_can_be_swapped_too():
    inner = dict(type='ResNet', depth=50)
    cfg = Config(dict(model=dict(backbone=dict(type='ESTBackbone', backbone=inner, taps='block'))))
    set_tuning(cfg, 'full')
    assert cfg.model.backbone == dict(type='TunedBackbone', backbone=inner, tuning=dict(type='Full'))
    with pytest.raises(ValueError, match='it is ResNet. Wrap it'):
        set_tuning(Config(dict(model=dict(backbone=inner))), 'full')


@pytest.mark.parametrize('value', ['nowhere', None])
def test_missing_data_names_the_variable(monkeypatch, tmp_path, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMEST_DATA', value) if value else monkeypatch.delenv('MMEST_DATA', raising=False)
    cfg = Config.fromfile(ROOT / 'segmentation/dubai/segformer_deit-t_est.py')
    with pytest.raises(FileNotFoundError, match=f'{value or "data"}/dubai_seg is not there.*MMEST_DATA.*data_root'):
        check_data(cfg, ['train'])
