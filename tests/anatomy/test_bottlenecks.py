"""Bottlenecks are found, of whatever class, and read where they are narrow."""

import pytest
import torch
from mmengine.registry import MODELS
from toy import BACKBONES, CONVNEXT, build, image

from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.bottlenecks import narrow_blocks

SMALL = dict(base_channels=8, stem_channels=8)
BOTTLENECKS = {
    'resnet': dict(type='mmdet.ResNet', depth=50, **SMALL),
    'stride in the first convolution': dict(type='mmdet.ResNet', depth=50, style='caffe', **SMALL),
    'shortcuts that pool': dict(type='mmdet.ResNet', depth=50, avg_down=True, **SMALL),
    'groups': dict(type='mmdet.ResNeXt', depth=50, groups=4, base_width=4, base_channels=8),
    'scales': dict(type='mmdet.Res2Net', depth=50, scales=4, base_width=26),
    'attention behind': dict(
        type='mmdet.ResNet',
        depth=50,
        plugins=[dict(cfg=dict(type='NonLocal2d'), stages=(False, True, True, True), position='after_conv3')],
        **SMALL,
    ),
    'split attention': dict(type='mmdet.ResNeSt', depth=50, base_channels=8, stem_channels=8),
}
OTHERS = {
    **{name: cfg for name, cfg in BACKBONES.items() if name != 'resnet'},
    'convnext': CONVNEXT,
    'two equal convolutions': dict(type='mmdet.ResNet', depth=18, **SMALL),
    'wide inside': dict(type='mmdet.MobileNetV2'),
    'widened by its spatial convolution': dict(type='mmdet.Darknet', depth=53),
    'squeeze and excitation': dict(type='mmdet.EfficientNet', arch='b0', out_indices=(3, 4, 5)),
}


@pytest.mark.parametrize('name', BOTTLENECKS)
def test_bottlenecks_are_read_before_the_layer_that_widens(name):
    backbone = MODELS.build(BOTTLENECKS[name])
    anatomy = find_anatomy(backbone)
    found = narrow_blocks(backbone, anatomy)
    assert list(found) == list(range(16))
    for i, block in found.items():
        layer = backbone.get_submodule(block.read_before)
        assert block.read_before == f'{block.name}.conv3'
        assert block.channels == layer.in_channels and layer.out_channels == anatomy.blocks[i].channels
        assert block.size == anatomy.blocks[i].size


@pytest.mark.parametrize('name', OTHERS)
def test_others_have_no_narrow_place(name):
    backbone = MODELS.build(OTHERS[name])
    assert narrow_blocks(backbone, find_anatomy(backbone)) == {}


@pytest.mark.parametrize('out_indices', [(0, 1, 2, 3), (2, 3)])
@pytest.mark.parametrize('taps', [1, 2, 'block', 'stage'])
def test_the_last_block_of_a_stage_is_read_at_its_output(taps, out_indices):
    whole = dict(type='mmdet.ResNet', out_indices=out_indices)  # with several blocks in each stage
    tuned = build('resnet', dict(type='EST', taps=taps), **whole).eval()
    seen = {}
    for name, module in tuned.backbone.named_modules():
        if name.endswith('conv3'):
            module.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: args[0].clone()}))
        elif name.count('.') == 1 and name.startswith('layer'):
            module.register_forward_hook(lambda _, args, output, name=name: seen.update({name: output.clone()}))
    features, read = tuned.read(image())
    last = {'layer1.2', 'layer2.3', 'layer3.5', 'layer4.2'}
    for tap, block in zip(read, tuned.method.tapped, strict=True):
        assert torch.equal(tap.feature, seen[block.name if block.name in last else f'{block.name}.conv3'])
    wide = build('resnet', dict(type='EST', taps=taps, narrow_taps=False), **whole)
    assert all(block.read_before is None for block in wide.method.tapped)
