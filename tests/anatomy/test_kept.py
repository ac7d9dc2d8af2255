"""What blocks keep for backward, against sums by hand."""

import pytest
import torch
from mmengine.registry import MODELS
from test_blocks import KNOWN
from torch import nn

from mmest.anatomy.kept import bytes_kept
from mmest.anatomy.lists import find_block_names


class Convolutions(nn.Module):
    """Block i: a convolution to 4 channels and a ReLU, whose result is what both of them keep beside what comes in."""

    def __init__(self, strides) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(3 if i == 0 else 4, 4, 3, stride, 1), nn.ReLU()) for i, stride in enumerate(strides)
        )

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return (x,)


def test_it_counts_each_map_once_and_no_weight():
    kept = bytes_kept(Convolutions([2, 2, 1]), ['blocks.0', 'blocks.1', 'blocks.2'])
    image, half, quarter = 3 * 64 * 96, 4 * 32 * 48, 4 * 16 * 24
    assert kept == {'blocks.0': 4 * (image + half), 'blocks.1': 4 * (half + quarter), 'blocks.2': 4 * 2 * quarter}


def test_on_the_meta_device_it_is_the_same():
    plain, names = Convolutions([2, 1]), ['blocks.0', 'blocks.1']
    assert bytes_kept(plain, names) == bytes_kept(Convolutions([2, 1]).to('meta'), names)


def test_all_calls_of_a_block_count_in_the_order_of_the_names():
    class Twice(Convolutions):
        def forward(self, x):
            (x,) = super().forward(x)
            return (self.blocks[1](x),)

    once = bytes_kept(Convolutions([2, 1]), ['blocks.1', 'blocks.0'])
    twice = bytes_kept(Twice([2, 1]), ['blocks.1', 'blocks.0'])
    half = 4 * 4 * 32 * 48
    assert list(twice) == ['blocks.1', 'blocks.0'] and once['blocks.1'] == 2 * half
    assert twice == {'blocks.1': once['blocks.1'] + half, 'blocks.0': once['blocks.0']}


@pytest.mark.parametrize('kind', ['swin', 'vit', 'resnet', 'mit'])
def test_it_leaves_a_backbone_as_it_was(kind):
    backbone = MODELS.build(KNOWN[kind][0])
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    names = find_block_names(backbone)
    kept = bytes_kept(backbone, names)
    assert list(kept) == names and min(kept.values()) > 0
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in backbone.modules())
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, before[name])
