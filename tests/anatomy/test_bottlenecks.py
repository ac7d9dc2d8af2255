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
    'split attention': dict(type='mmdet.ResNeSt', depth=50, base_channels=8, stem_channels=8),
}
OTHERS = {
    **{name: cfg for name, cfg in BACKBONES.items() if name != 'resnet'},
    'convnext': CONVNEXT,
    'two equal convolutions': dict(type='mmdet.ResNet', depth=18, **SMALL),
    'wide inside': dict(type='mmdet.MobileNetV2'),
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


@pytest.mark.parametrize('taps', [1, 2, 'block'])
def test_the_last_block_of_a_stage_is_read_at_its_output(taps):
    tuned = build('resnet', dict(type='EST', taps=taps)).eval()
    widening = {}
    for name, module in tuned.backbone.named_modules():
        if name.endswith('conv3'):
            module.register_forward_pre_hook(lambda _, args, name=name: widening.update({name: args[0].clone()}))
    features, read = tuned.read(image())
    outputs = {output.block: features[k] for k, output in enumerate(tuned.method.outputs)}
    assert set(outputs) <= {tap.block for tap in read}
    for tap, block in zip(read, tuned.method.tapped):
        wanted = outputs[tap.block] if tap.block in outputs else widening[f'{block.name}.conv3']
        assert torch.equal(tap.feature, wanted)
    wide = build('resnet', dict(type='EST', taps=taps, narrow_taps=False))
    assert all(block.read_before is None for block in wide.method.tapped)
