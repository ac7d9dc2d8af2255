"""Blocks and outputs of backbones of many kinds, none of which the code knows by name."""

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn
from toy import GATED

from mmest.anatomy.blocks import find_anatomy

VIT = dict(img_size=64, embed_dims=32, num_layers=4, num_heads=2, out_indices=(1, 3))
# (config, blocks per stage, block behind each output, output norms)
KNOWN = {
    'swin': (
        dict(type='SwinTransformer', embed_dims=16, depths=(2, 1, 3, 1), num_heads=(1, 1, 2, 2), window_size=4),
        [2, 1, 3, 1],
        [1, 2, 5, 6],
        ('norm0', 'norm1', 'norm2', 'norm3'),
    ),
    'swin of depth one': (
        dict(type='SwinTransformer', embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)),
        [1, 1, 1, 1],
        [0, 1, 2, 3],
        ('norm0', 'norm1', 'norm2', 'norm3'),
    ),
    'resnet': (dict(type='ResNet', depth=50, base_channels=8), [3, 4, 6, 3], [2, 6, 12, 15], ()),
    'resnet 18': (dict(type='ResNet', depth=18, base_channels=8), [2, 2, 2, 2], [1, 3, 5, 7], ()),
    'resnet c4': (
        dict(
            type='ResNet',
            depth=50,
            base_channels=8,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(1, 2),
            style='caffe',
        ),
        [3, 4, 6],
        [6, 12],
        (),
    ),
    'dilated resnet': (
        dict(type='mmseg.ResNetV1c', depth=50, base_channels=8, dilations=(1, 1, 2, 4), strides=(1, 2, 1, 1)),
        [3, 4, 6, 3],
        [2, 6, 12, 15],
        (),
    ),
    'res2net': (dict(type='Res2Net', depth=50), [3, 4, 6, 3], [2, 6, 12, 15], ()),
    'vit': (dict(type='mmseg.VisionTransformer', final_norm=True, **VIT), [4], [1, 3], ('ln1',)),
    'beit, square only': (dict(type='mmseg.BEiT', **VIT), [4], [1, 3], ()),
    'mae, square only': (dict(type='mmseg.MAE', **VIT), [4], [1, 3], ()),
    'mit': (
        dict(type='mmseg.MixVisionTransformer', embed_dims=8, num_layers=[1, 2, 1, 1]),
        [1, 2, 1, 1],
        [0, 2, 3, 4],
        ('layers.3.2',),
    ),
    'pvt': (
        dict(type='PyramidVisionTransformer', embed_dims=8, num_layers=[1, 2, 1, 1]),
        [1, 2, 1, 1],
        [0, 2, 3, 4],
        (),
    ),
    'pvt v2': (
        dict(type='PyramidVisionTransformerV2', embed_dims=8, num_layers=[1, 2, 1, 1]),
        [1, 2, 1, 1],
        [0, 2, 3, 4],
        ('layers.3.2',),
    ),
    'regnet': (dict(type='RegNet', arch='regnetx_400mf'), [1, 2, 7, 12], [0, 2, 9, 21], ()),
    'resnest': (GATED['resnest'], [3, 4], [2, 6], ()),
    'gcnet': (GATED['gcnet'], [3, 4], [2, 6], ()),
    'non-local': (GATED['non_local'], [3, 4], [2, 6], ()),
    'mscan': (
        dict(type='mmseg.MSCAN', embed_dims=[8, 16, 24, 32], depths=[1, 1, 2, 1]),
        [1, 1, 2, 1],
        [0, 1, 3, 4],
        ('norm4',),
    ),
}


@pytest.mark.parametrize('kind', KNOWN)
def test_known_backbones(kind):
    cfg, depths, behind, norms = KNOWN[kind]
    backbone = MODELS.build(cfg)
    flags = [(p.requires_grad, p.clone()) for p in backbone.parameters()]
    training = backbone.training
    anatomy = find_anatomy(backbone)
    stages = [block.stage for block in anatomy.blocks]
    assert [stages.count(i) for i in range(max(stages) + 1)] == depths
    assert [output.block for output in anatomy.outputs] == behind
    assert anatomy.output_norms == norms
    backbone.eval()
    with torch.no_grad():
        outputs = backbone(torch.rand(1, 3, 64, 64))
    assert [o.shape[1] for o in outputs] == [o.channels for o in anatomy.outputs]
    for p, (flag, value) in zip(backbone.parameters(), flags):
        assert p.requires_grad == flag and torch.equal(p, value) and p.grad is None
    assert training


def test_width_of_bottlenecks_is_that_of_their_spatial_convolution():
    blocks = find_anatomy(MODELS.build(dict(type='ResNet', depth=50, base_channels=8))).blocks
    assert (blocks[0].channels, blocks[0].width) == (32, 8) and (blocks[-1].channels, blocks[-1].width) == (256, 64)
    swin = find_anatomy(MODELS.build(KNOWN['swin'][0])).blocks
    assert all(block.channels == block.width for block in swin)


def test_multispectral_input():
    anatomy = find_anatomy(MODELS.build(dict(KNOWN['swin'][0], in_channels=6)))
    assert len(anatomy.blocks) == 7


class ChannelsLast(nn.Module):
    """Blocks that return B×H×W×C, as timm's Swin does."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8)) for _ in range(2))

    def forward(self, x):
        x = self.stem(x).permute(0, 2, 3, 1)
        for block in self.blocks:
            x = x + block(x)
        return (x.permute(0, 3, 1, 2),)


def test_a_backbone_without_blocks_gets_a_sentence():
    with pytest.raises(ValueError, match='no blocks were found. A block is a member of'):
        find_anatomy(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()))


def test_a_list_of_lists_is_not_a_list_of_blocks():
    said = r'ChannelsLast: no blocks were found.* no such list itself: of rows of layers \(nn.Sequential\) make a class'
    with pytest.raises(ValueError, match=said):
        find_anatomy(ChannelsLast())


def test_activation_checkpointing_hides_nothing():
    cfg = KNOWN['swin'][0]
    assert find_anatomy(MODELS.build(dict(cfg, with_cp=True))) == find_anatomy(MODELS.build(cfg))
