"""Backbones of timm and mmpretrain, where these are installed: every method starts at the plain backbone and trains."""

import importlib

import pytest
import torch
from mmengine.registry import MODELS
from toy import METHODS

from mmest.anatomy.blocks import find_anatomy


def timm(name: str, **arguments) -> dict:
    return dict(type='mmseg.TIMMBackbone', model_name=name, features_only=True, pretrained=False, **arguments)


def mmpretrain(name: str, **arguments) -> dict:
    return dict(type=f'mmpretrain.{name}', **arguments)


MAPS = dict(out_type='featmap', out_indices=(5, 11))
BACKBONES = {
    'timm convnext': timm('convnext_atto'),
    'timm resnet': timm('resnet10t', out_indices=(1, 2, 3, 4)),
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
