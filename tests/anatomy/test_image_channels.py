"""How many channels the images of a backbone have."""

import pytest
from mmengine.registry import MODELS
from toy import METHODS, build, image

from mmest.anatomy.probe import image_channels
from mmest.backbones import TunedBackbone


@pytest.mark.parametrize(
    'backbone, channels',
    [
        (dict(type='mmdet.ResNet', depth=18, base_channels=8), 3),
        (dict(type='mmdet.ResNet', depth=18, base_channels=8, in_channels=1), 1),
        (
            dict(
                type='mmdet.SwinTransformer', embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1), in_channels=6
            ),
            6,
        ),
        (dict(type='mmdet.CSPDarknet', deepen_factor=0.33, widen_factor=0.125), 3),  # whose first layer takes twelve
    ],
)
def test_they_are_those_of_its_first_layer_or_what_goes_through(backbone, channels):
    assert image_channels(MODELS.build(backbone)) == channels


@pytest.mark.parametrize(
    'method, dtype', [('est', 'bf16'), ('est', 'int8'), ('frozen', 'int8'), ('lora', None), ('full', None)]
)
def test_of_a_tuned_backbone_in_any_precision(method, dtype):
    tuned = TunedBackbone(build('swin', in_channels=4), METHODS[method], allow_random=True, frozen_dtype=dtype)
    tuned.settle()
    assert tuned.image_channels == 4
    assert TunedBackbone(build('swin'), METHODS[method], frozen_dtype=dtype).image_channels == image().shape[1]
