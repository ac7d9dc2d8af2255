"""Backbones that return the image itself beside their maps, for a neck that shows it to backbones of its own."""

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from toy import METHODS, SIDE, image

import mmest
from mmest import SharedBackbone

DETECTORS = dict(type='DetectoRS_ResNet', depth=50, base_channels=8, output_img=True)


@MODELS.register_module(force=True)
class ImageBehind(torch.nn.Module):
    """Returns it by name, behind the maps."""

    def __init__(self) -> None:
        super().__init__()
        init_default_scope('mmdet')
        self.inner = MODELS.build(dict(type='ResNet', depth=18, base_channels=8))

    def forward(self, x):
        return dict(zip('abcd', self.inner(x))) | dict(image=x)


def build(method, backbone, **options):
    init_default_scope('mmdet')
    torch.manual_seed(0)
    return MODELS.build(dict(type='TunedBackbone', backbone=dict(backbone), tuning=METHODS[method], **options)).eval()


@torch.no_grad()
@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize(('backbone', 'place'), [(DETECTORS, 0), (dict(type='ImageBehind'), 4)], ids=['first', 'last'])
def test_the_image_keeps_its_place(method, backbone, place):
    tuned, x = build(method, backbone), image()
    maps = tuned(x)
    plain = tuned.backbone(x)
    plain = list(plain.values() if isinstance(plain, dict) else plain)
    assert maps[place] is x and len(maps) == 5
    assert [f.shape for f in maps] == [f.shape for f in plain]


@torch.no_grad()
@pytest.mark.parametrize('dtype', ['bf16', 'int8'])
def test_in_other_precisions_too(dtype):
    tuned, x = build('est', DETECTORS, frozen_dtype=dtype), image()
    assert tuned(x)[0] is x and len(tuned(x)) == 5


@torch.no_grad()
def test_models_over_one_backbone_get_their_own_image():
    tuned = [build(method, DETECTORS) for method in SIDE[:2]]
    SharedBackbone(tuned)
    for one in tuned:
        x = image()
        assert one(x)[0] is x and len(one(x)) == 5


@torch.no_grad()
def test_modules_that_are_tuned_from_python_too():
    tuned = [mmest.tune(ImageBehind(), method) for method in ('Frozen', 'LST')]
    SharedBackbone(tuned)
    for one in tuned:
        x = image()
        found = one(x)
        assert found['image'] is x and list(found) == [*'abcd', 'image']


def test_maps_that_were_kept_come_with_the_image():
    tuned, x = build('est', DETECTORS).train(), image()
    kept = tuned.read(x)
    tuned.cache = lambda images, read: kept
    maps = tuned(x)
    assert maps[0] is x and len(maps) == 5
