"""Backbones of timm, mmpretrain and transformers, where these are installed: every method starts at the plain backbone
and trains.
"""

import importlib

import pytest
import torch
from mmengine.registry import MODELS
from toy import METHODS

import mmest
from mmest.anatomy.blocks import find_anatomy


def timm(name: str, **arguments) -> dict:
    return dict(type='mmseg.TIMMBackbone', model_name=name, features_only=True, pretrained=False, **arguments)


def mmpretrain(name: str, **arguments) -> dict:
    return dict(type=f'mmpretrain.{name}', **arguments)


MAPS = dict(out_type='featmap', out_indices=(5, 11))
BACKBONES = {
    'timm convnext': timm('convnext_atto'),
    'timm resnet': timm('resnet10t', out_indices=(1, 2, 3, 4)),
    'timm swin': timm('swin_tiny_patch4_window7_224', img_size=64, feature_cls='getter'),
    'timm vit': timm('vit_tiny_patch16_224', img_size=64),
    'timm dinov2': timm('vit_small_patch14_dinov2', img_size=70),
    'timm deit3': timm('deit3_small_patch16_224', img_size=64),
    'timm eva02': timm('eva02_tiny_patch14_224', img_size=70),
    'mmpretrain convnext': mmpretrain('ConvNeXt', arch='atto', out_indices=(0, 1, 2, 3), gap_before_final_norm=False),
    'mmpretrain deit3': mmpretrain('DeiT3', arch='s', img_size=64, **MAPS),
    'mmpretrain eva02': mmpretrain('ViTEVA02', arch='t', img_size=70, patch_size=14, **MAPS),
    'mmpretrain dinov2': mmpretrain('VisionTransformer', arch='dinov2-small', img_size=70, patch_size=14, **MAPS),
    'mmpretrain swin': mmpretrain('SwinTransformer', arch='tiny', img_size=64, out_indices=(0, 1, 2, 3)),
}


@pytest.mark.parametrize('name', BACKBONES)
def test_every_method(name):
    library = name.split()[0]
    pytest.importorskip('timm' if library == 'timm' else 'mmpretrain')
    if library == 'mmpretrain':
        importlib.import_module('mmpretrain.models')
    cfg = BACKBONES[name]
    for tuning in METHODS.values():
        tuned = MODELS.build(dict(type='TunedBackbone', backbone=dict(cfg), tuning=dict(tuning)))
        image = torch.rand(2, 3, *find_anatomy(tuned.backbone).image)
        plain = MODELS.build(dict(cfg))
        plain.load_state_dict(tuned.backbone.state_dict())
        plain.eval()  # mmpretrain's return None from it
        tuned.eval()
        with torch.no_grad():
            assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(tuned(image), plain(image))), tuning
        tuned.train()
        features = tuned(image)
        if any(p.requires_grad for p in tuned.parameters()):
            sum((f * torch.rand_like(f)).sum() for f in features).backward()
        idle = [key for key, p in tuned.named_parameters() if p.requires_grad and p.grad is None]
        # what a plain backbone has and never uses is Full's to keep
        assert not idle or tuning['type'] == 'Full', (tuning, idle)


def test_maps_with_channels_last_are_refused():
    pytest.importorskip('timm')
    swin = timm('swin_tiny_patch4_window7_224', img_size=64)
    with pytest.raises(ValueError, match='output 0 should be a B×C×H×W map.* channels last'):
        MODELS.build(dict(type='TunedBackbone', backbone=swin, tuning=dict(type='EST')))


OF_TRANSFORMERS = {
    'Dinov2': dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=2, patch_size=16, out_indices=[2, 4]),
    'DINOv3ViT': dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=2, patch_size=16, out_indices=[2, 4]),
    'Swin': dict(embed_dim=16, depths=[2, 2], num_heads=[2, 2], window_size=4, out_indices=[1, 2]),
    'MaskFormerSwin': dict(embed_dim=16, depths=[2, 2], num_heads=[2, 2], window_size=4, out_indices=[1, 2]),
    'ConvNextV2': dict(hidden_sizes=[16, 32], depths=[2, 2], num_stages=2, out_indices=[1, 2]),
    'ResNet': dict(embedding_size=16, hidden_sizes=[32, 64], depths=[2, 2], out_indices=[1, 2]),
}


@pytest.mark.parametrize('name', OF_TRANSFORMERS)
def test_every_method_on_transformers(name):
    transformers = pytest.importorskip('transformers')
    image = torch.rand(2, 3, 64, 64)
    for method in METHODS.values():
        config = getattr(transformers, f'{name}Config')(image_size=64, **OF_TRANSFORMERS[name])
        plain = getattr(transformers, f'{name}Backbone')(config).eval()
        with torch.no_grad():
            expected = plain(image)
        knobs = dict(method)
        tuned = mmest.tune(plain, knobs.pop('type'), **knobs).eval()
        found = tuned(image)
        assert type(found) is type(expected)
        maps = zip(found.feature_maps, expected.feature_maps, strict=True)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in maps), method
        if any(p.requires_grad for p in tuned.parameters()):
            sum((f * torch.rand_like(f)).sum() for f in found.feature_maps).backward()
        idle = [key for key, p in tuned.named_parameters() if p.requires_grad and p.grad is None]
        assert not idle or method['type'] == 'Full', (method, idle)
