"""--backbone and --tuning on shipped configs, on those of mmdet and mmseg, and on examples of what is not shipped."""

import copy
import functools
import importlib

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from toy import BEIT

from mmest.configs import (
    available_backbones,
    configs_root,
    load_backbone,
    open_config,
    read_config,
    set_backbone,
    set_tuning,
)
from mmest.configs.backbones import Backbone
from mmest.configs.names import shipped_configs
from mmest.engine.plain_config import plain_config

CHANNELS = [8, 16, 32, 64]
SWIN = Backbone(
    ConfigDict(
        type='SwinTransformer', embed_dims=8, depths=[1, 1, 2, 1], num_heads=[1, 1, 2, 2], out_indices=(0, 1, 2, 3)
    ),
    CHANNELS,
    dict(mean=[1, 2, 3], std=[4, 5, 6], bgr_to_rgb=False),
)
VIT = Backbone(
    ConfigDict(
        type='mmseg.VisionTransformer', img_size=64, embed_dims=32, num_layers=4, num_heads=2, out_indices=(0, 1, 2, 3)
    ),
    [32] * 4,
    {},
)


@functools.cache
def _read(name: str) -> Config:
    return open_config(name)


def opened(name: str) -> Config:
    """A config that a test may change."""
    return copy.deepcopy(_read(name))


def build(cfg: Config) -> torch.nn.Module:
    pytest.importorskip(cfg.default_scope)
    importlib.import_module(f'{cfg.default_scope}.models')
    if 'mmseg.' in str(cfg.model):
        pytest.importorskip('mmseg.models')
    init_default_scope(cfg.default_scope)
    model = copy.deepcopy(cfg.model)
    (model.backbone.get('backbone') or model.backbone).pop('init_cfg', None)
    return MODELS.build(model)


def runs(cfg: Config) -> bool:
    """Whether neck or head take what the backbone hands over, and a gradient reaches all that trains beneath the
    head.
    """
    model = build(cfg).train()
    features = model.extract_feat(torch.rand(2, 3, 64, 64))
    if cfg.default_scope == 'mmseg':
        for head in [model.decode_head, *([model.auxiliary_head] if model.with_auxiliary_head else [])]:
            if type(head).__name__ != 'Mask2FormerHead':  # it wants samples
                head(features)
    sum(feature.square().mean() for feature in features).backward()
    neck = list(model.neck.named_parameters()) if model.with_neck else []
    return all(p.grad is not None for _, p in [*model.backbone.named_parameters(), *neck] if p.requires_grad)


@pytest.mark.parametrize('backbone', available_backbones())
@pytest.mark.parametrize('leaf', ['detection/custom/retinanet', 'segmentation/custom/upernet'])
def test_every_backbone_says_what_it_is(leaf, backbone):
    """Its channels are those of its maps, one scale is a plain transformer's, and the weights have a normalisation."""
    cfg = opened(leaf)
    set_backbone(cfg, backbone)
    known = load_backbone(backbone, cfg.default_scope)
    assert cfg.model.backbone.backbone.type == known.config.type and known.config.init_cfg.checkpoint
    assert {'mean', 'std', 'bgr_to_rgb'} == known.normalisation.keys()
    assert cfg.model.data_preprocessor.mean == known.normalisation['mean']
    assert not cfg.keys() & {'backbone', 'channels', 'normalisation'}, 'they would be those of the backbone before'
    family = known.config
    if family.type == 'SwinTransformer':
        assert known.channels == [family.embed_dims * 2**stage for stage in range(4)]
    elif 'VisionTransformer' in family.type:
        assert known.plain and known.channels == [family.embed_dims] * 4
    neck = cfg.model.get('neck')
    first = neck[0] if isinstance(neck, list) else neck
    assert known.plain == bool(first and first.type.endswith('Feature2Pyramid'))


@pytest.mark.parametrize('new', [SWIN, VIT], ids=['swin', 'vit'])
@pytest.mark.parametrize(
    'leaf', [leaf for leaf in shipped_configs() if leaf.split('/')[1] in ('custom', 'dubai', 'hrplanes')]
)
def test_neck_and_heads_take_the_maps_of_another_backbone(leaf, new, empty_init):
    cfg = opened(leaf)
    before = cfg.model.backbone.tuning
    set_backbone(cfg, new)
    assert cfg.model.backbone.tuning == before
    assert runs(cfg)
    if new.normalisation:
        assert {key: cfg.model.data_preprocessor[key] for key in new.normalisation} == new.normalisation


def test_there_and_back(empty_init):
    """From one scale back to several: the pyramid goes."""
    cfg = opened('detection/custom/faster-rcnn')
    neck = cfg.model.neck.to_dict()
    set_backbone(cfg, 'vit-b')
    assert [part.type for part in cfg.model.neck] == ['mmseg.Feature2Pyramid', 'FPN']
    set_backbone(cfg, 'swin-t')
    assert cfg.model.neck == neck


def test_three_levels_stay_three():
    cfg = opened('detection/custom/retinanet')
    set_backbone(cfg, SWIN)
    assert cfg.model.backbone.backbone.out_indices == (1, 2, 3)
    assert cfg.model.neck.in_channels == CHANNELS[1:]
    set_backbone(cfg, 'r50-c4')
    assert cfg.model.backbone.backbone.out_indices == (1, 2) and cfg.model.neck.in_channels == [512, 1024]


@pytest.mark.parametrize('example', sorted(path.stem for path in (configs_root() / 'examples').glob('*.py')))
def test_examples_of_what_is_not_shipped(example, empty_init):
    pytest.importorskip('mmdet')
    cfg = read_config(f'examples/{example}')
    assert cfg.model.backbone.type == 'TunedBackbone' and cfg.model.backbone.tuning.type == 'EST'
    assert cfg.optim_wrapper.constructor == 'TrainableOptimWrapperConstructor'
    assert dict(type='ESTHook') in cfg.custom_hooks and 'mmest' in cfg.custom_imports['imports']
    assert cfg.filename.endswith('_est.py'), 'the run is named by what it takes'
    text = (configs_root() / 'examples' / f'{example}.py').read_text()
    assert '_delete_' not in text
    for part in ('encoder', 'decoder'):
        if part in cfg.model:
            cfg.model[part].num_layers = 1
    set_backbone(cfg, VIT if example == 'mask-rcnn' else SWIN)
    assert runs(cfg)


@pytest.mark.parametrize(
    'name, source',
    [
        ('mmdet::retinanet/retinanet_r50_fpn_1x_coco', 'torchvision://resnet50'),
        ('mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024', 'open-mmlab://resnet50_v1c'),
    ],
)
def test_a_plain_config_is_wrapped(name, source):
    pytest.importorskip(name.partition(':')[0])
    cfg = read_config(name, tuning='est')
    outer = cfg.model.backbone
    assert outer.type == 'TunedBackbone' and outer.backbone.init_cfg.checkpoint == source
    assert cfg.model.get('pretrained') is None
    assert outer.backbone.get('frozen_stages') == read_config(name).model.backbone.get('frozen_stages')
    assert read_config(name).model.backbone.type in ('ResNet', 'ResNetV1c'), 'nobody asked'


@pytest.mark.parametrize('tuning, layer_decay', [('full', 0.9), ('est', None)])
def test_rates_that_fall_by_layer_are_mmests(tuning, layer_decay):
    """The constructor of the config knows BEiT by the class of model.backbone."""
    pytest.importorskip('mmseg')
    cfg = read_config('mmseg::beit/beit-base_upernet_8xb2-160k_ade20k-640x640', tuning=tuning)
    assert cfg.model.backbone.tuning.get('layer_decay') == layer_decay
    optim = cfg.optim_wrapper
    assert optim.constructor == 'TrainableOptimWrapperConstructor'
    assert optim.paramwise_cfg == dict(norm_decay_mult=0, bias_decay_mult=0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    groups = build_optim_wrapper(model, copy.deepcopy(optim)).optimizer.param_groups
    decays = {id(p): group['weight_decay'] for group in groups for p in group['params']}
    assert [decays[id(p)] for p in model.parameters()] == [optim.optimizer.weight_decay, 0, 0, 0]


def test_rates_that_fall_otherwise_are_said(monkeypatch):
    pytest.importorskip('mmdet')
    cfg = read_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco')
    cfg.optim_wrapper.update(
        constructor='mmdet.LearningRateDecayOptimizerConstructor',
        paramwise_cfg=dict(decay_rate=0.7, decay_type='stage_wise', num_layers=6, bypass_duplicate=True),
    )
    said = []
    monkeypatch.setattr('mmest.configs.tunings.print_log', lambda text, **_: said.append(text))
    set_tuning(cfg, 'full')
    assert 'fall by 0.7 from stage to stage is left out' in said[0]
    assert 'layer_decay' not in cfg.model.backbone.tuning and cfg.optim_wrapper.paramwise_cfg.bypass_duplicate


@pytest.mark.parametrize('constructor', ['LearningRateDecayOptimizerConstructor', 'LayerDecayOptimizerConstructor'])
@pytest.mark.parametrize('scope', ['', 'mmseg.'])
@pytest.mark.parametrize('method, layer_decay', [('Full', 0.7), ('EST', None), (None, None)])
def test_rates_fall_in_configs_that_are_wrapped_by_hand(tmp_path, constructor, scope, method, layer_decay):
    """None: an ESTBackbone, which has no method to name."""
    pytest.importorskip('mmseg')
    outer = dict(backbone=dict(BEIT), **(dict(tuning=dict(type=method)) if method else {}))
    cfg = Config(
        dict(
            default_scope='mmseg',
            model=dict(backbone=dict(type='TunedBackbone' if method else 'ESTBackbone', **outer)),
            optim_wrapper=dict(
                type='OptimWrapper',
                optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.1),
                constructor=f'{scope}{constructor}',
                paramwise_cfg=dict(num_layers=2, decay_rate=0.7, decay_type='layer_wise_vit'),
            ),
        )
    )
    cfg.dump(tmp_path / 'x.py')
    cfg = read_config(str(tmp_path / 'x.py'))
    assert cfg.optim_wrapper.constructor == 'TrainableOptimWrapperConstructor'
    assert cfg.model.backbone.get('tuning', {}).get('layer_decay') == layer_decay
    model = torch.nn.Module()
    model.backbone = MODELS.build(cfg.model.backbone)
    rates = {group['lr'] for group in build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups}
    assert len(rates) == (3 if layer_decay else 1)


def test_what_an_export_writes_is_not_wrapped_again(tmp_path):
    cfg = opened('detection/custom/retinanet')
    plain = plain_config(cfg)
    plain.dump(tmp_path / 'plain.py')
    assert read_config(str(tmp_path / 'plain.py')).model.backbone.type == 'SwinTransformer'
    assert {'backbone', 'tuning', 'channels'} <= cfg.keys(), 'the config that was handed in stays'


def test_a_plain_config_takes_another_backbone():
    pytest.importorskip('mmdet')
    cfg = read_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco', backbone='swin-s')
    assert cfg.model.backbone == load_backbone('swin-s', 'mmdet').config
    assert cfg.model.neck.in_channels == [96, 192, 384, 768]
    assert cfg.filename.endswith('retinanet_r50_fpn_1x_coco_swin-s.py')


def test_est_backbone_can_be_swapped_too():
    inner = dict(type='ResNet', depth=50)
    cfg = Config(dict(model=dict(backbone=dict(type='ESTBackbone', backbone=inner, taps='block'))))
    set_tuning(cfg, 'full')
    assert cfg.model.backbone == dict(type='TunedBackbone', backbone=inner, tuning=dict(type='Full'))


@pytest.mark.parametrize(
    'model, sentence',
    [
        (None, 'should have a model.backbone to tune, but has no model'),
        (dict(type='X', neck=None), 'should have a model.backbone to tune, but has type, neck'),
    ],
)
def test_models_without_a_backbone(model, sentence):
    with pytest.raises(ValueError, match=sentence):
        set_tuning(Config(dict(model=model) if model else {}), 'est')
    with pytest.raises(ValueError, match='should have a model.backbone to swap, but has none'):
        set_backbone(Config(dict(model=model) if model else {}), 'r50')


def test_what_cannot_be_swapped_is_said():
    cfg = Config(dict(default_scope='mmdet', model=dict(backbone=dict(type='ResNet', out_indices=(3,)), neck=None)))
    with pytest.raises(ValueError, match='Nothing is found in the model .* that takes the maps'):
        set_backbone(cfg, 'r50')
    with pytest.raises(ValueError, match='takes maps from stride 32 on, but the backbone r50-c4 hands over'):
        set_backbone(cfg, 'r50-c4')
    with pytest.raises(ValueError, match='no backbone "swin-x"; choose one of convnext-b, '):
        set_backbone(cfg, 'swin-x')
