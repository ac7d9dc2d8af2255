"""The layers between stages, of backbones of many kinds."""

import pytest
from mmengine.registry import MODELS
from test_blocks import KNOWN

from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.downsampling import find_downsampling


@pytest.mark.parametrize(
    'kind, found',
    [
        ('swin', {2: 'stages.0.downsample', 3: 'stages.1.downsample', 6: 'stages.2.downsample'}),
        ('resnet', {3: 'layer2.0.downsample', 7: 'layer3.0.downsample', 13: 'layer4.0.downsample'}),
        ('resnet 18', {2: 'layer2.0.downsample', 4: 'layer3.0.downsample', 6: 'layer4.0.downsample'}),
        ('mit', {1: 'layers.1.0', 3: 'layers.2.0', 4: 'layers.3.0'}),
        ('pvt', {1: 'layers.1.0', 3: 'layers.2.0', 4: 'layers.3.0'}),
        ('mscan', {1: 'patch_embed2', 2: 'patch_embed3', 4: 'patch_embed4'}),
        ('vit', {}),
    ],
)
def test_known_backbones(kind, found):
    backbone = MODELS.build(KNOWN[kind][0])
    assert find_downsampling(backbone, find_anatomy(backbone)) == found
