"""Branches and weights in the blocks of backbones of many kinds."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from small_backbones import Attention
from test_blocks import KNOWN
from torch import nn

from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.branches import find_branches

# (kind, norm, end, weights with > for the output projection and ~ for those of layers that are never called), by branch
# of the first block that keeps its shape
SWIN = [
    ('attention', 'norm1', 'attn', 'attn.w_msa.qkv attn.w_msa.proj>'),
    ('mlp', 'norm2', 'ffn.dropout_layer', 'ffn.layers.0.0 ffn.layers.1>'),
]
VIT = [
    ('attention', 'ln1', 'attn.dropout_layer', 'attn.attn.in_proj_weight~ attn.attn.out_proj~>'),
    ('mlp', 'ln2', 'ffn.dropout_layer', 'ffn.layers.0.0 ffn.layers.1>'),
]
BEIT = [('attention', 'ln1', 'attn', 'attn.qkv~ attn.proj>'), ('mlp', 'ln2', 'ffn', 'ffn.layers.0.0 ffn.layers.1>')]
MIT = [
    ('attention', 'norm1', 'attn.dropout_layer', 'attn.attn.in_proj_weight~ attn.attn.out_proj~> attn.sr'),
    ('mlp', 'norm2', 'ffn.dropout_layer', 'ffn.layers.0 ffn.layers.1 ffn.layers.4>'),
]
PVT = [MIT[0], ('mlp', 'norm2', 'ffn.dropout_layer', 'ffn.layers.0 ffn.layers.3>')]
FOUND = {
    'swin': SWIN,
    'vit': VIT,
    'beit, square only': BEIT,
    'mit': MIT,
    'pvt v2': MIT,
    'pvt': PVT,
    'resnet': [('conv', None, 'bn3', 'conv1 conv2 conv3>')],
    'resnet 18': [('conv', None, 'bn2', 'conv1 conv2>')],
    'regnet': [('conv', None, 'bn3', 'conv1 conv2 conv3>')],
    'resnest': [('conv', None, 'bn3', 'conv1 conv2.conv conv2.fc1 conv2.fc2 conv3>')],
}


@pytest.mark.parametrize('name', FOUND)
def test_known_backbones(name):
    backbone = MODELS.build(KNOWN[name][0])
    anatomy = find_anatomy(backbone)
    branches = find_branches(backbone, anatomy)
    first = next(branch.block for branch in branches if branch.keeps_shape)
    prefix = f'{anatomy.blocks[first].name}.'

    def words(branch):
        return ' '.join(
            weight.name.removeprefix(prefix).removesuffix('.weight')
            + '~' * (not weight.called)
            + '>' * weight.is_output
            for weight in branch.weights
        )

    found = [
        (b.kind, b.norm and b.norm.removeprefix(prefix), b.end.removeprefix(prefix), words(b))
        for b in branches
        if b.block == first
    ]
    assert found == FOUND[name]
    assert len(branches) == len(anatomy.blocks) * len(FOUND[name])
    assert all(branch.channels == anatomy.blocks[branch.block].channels for branch in branches)
    assert {branch.scale for branch in branches} == ({'gamma_1', 'gamma_2'} if 'beit' in name else {None})


def test_shortcuts_with_a_projection_do_not_keep_the_shape():
    backbone = MODELS.build(KNOWN['resnet'][0])
    branches = find_branches(backbone, find_anatomy(backbone))
    assert [b.block for b in branches if not b.keeps_shape] == [0, 3, 7, 13]
    assert all(b.end.endswith('bn3') and b.channels_first for b in branches)


@pytest.mark.parametrize('name, end', [('gcnet', 'context_block'), ('non-local', 'bn3')])
def test_a_softmax_between_convolutions_makes_no_attention(name, end):
    backbone = MODELS.build(KNOWN[name][0])
    anatomy = find_anatomy(backbone)
    branches = find_branches(backbone, anatomy)
    assert [(b.kind, b.name) for b in branches] == [('conv', block.name) for block in anatomy.blocks]
    assert [b.end.rpartition('.')[2] for b in branches] == ['bn3'] * 3 + [end] * 4
    for branch in branches:
        weights = {w.name.removeprefix(f'{branch.name}.').removesuffix('.weight') for w in branch.weights}
        assert {'conv1', 'conv2', 'conv3'} <= weights


class Selective(nn.Module):
    """A convolution of two kernels, mixed by a softmax over both (Li et al., CVPR 2019)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList(nn.Conv2d(channels, channels, k, padding=k // 2) for k in (1, 3))
        self.gate = nn.Conv2d(channels, 2 * channels, 1)

    def forward(self, x):
        y = torch.stack([path(x) for path in self.paths], 1)
        return (self.gate(y.sum(1).mean((2, 3), keepdim=True)).unflatten(1, y.shape[1:3]).softmax(1) * y).sum(1)


class SelectiveBlock(nn.Module):
    """x + Conv(ReLU(selective(x))): nothing is in front of its softmax."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = Selective(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return x + self.conv2(self.conv1(x).relu())


class TransformerBlock(nn.Module):
    """x + table, x + Conv(x), then attention and an MLP with layer scales: the identity passes by all of them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.rand(channels, 16, 24))
        self.position = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm1, self.norm2 = nn.GroupNorm(1, channels), nn.GroupNorm(1, channels)
        self.attn = Attention(channels)
        self.mlp = nn.Sequential(nn.Conv2d(channels, 16, 1), nn.GELU(), nn.Conv2d(16, channels, 1))
        self.scale1, self.scale2 = nn.Parameter(torch.rand(channels, 1, 1)), nn.Parameter(torch.rand(channels))

    def forward(self, x):
        x = x + self.table
        x = x + self.position(x)
        y = self.attn(self.norm1(x).flatten(2).transpose(1, 2))
        x = x + self.scale1 * y.transpose(1, 2).unflatten(2, x.shape[2:])
        return x + self.scale2[:, None, None] * self.mlp(self.norm2(x))


class LayerScale(nn.Module):
    """Of C×1×1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.rand(channels, 1, 1))

    def forward(self, x):
        return self.gamma * x


class ScaledByModules(TransformerBlock):
    """The same with layer scales that are modules, and a parameter that is not the branch's alone."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.scale1 = nn.Parameter(torch.rand(1))
        del self.scale2
        self.scale2 = LayerScale(channels)

    def forward(self, x):
        y = self.attn(self.norm1(x).flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])
        x = self.scale1 * x + self.scale1 * y
        return x + self.scale2(self.mlp(self.norm2(x)))


class FoldingBlock(nn.Module):
    """x + unfold(Conv(fold(x))), whose convolution has the size of the block, but not its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 2, 1)
        self.conv2 = nn.Conv2d(8, 4 * channels, 3, padding=1)

    def forward(self, x):
        return x + F.pixel_shuffle(self.conv2(F.pixel_unshuffle(self.conv1(x), 2)), 2)


class Plain(nn.Module):
    """Blocks of one kind behind a stem."""

    def __init__(self, block: type[nn.Module]) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.blocks = nn.Sequential(block(8), block(8))

    def forward(self, x):
        return (self.blocks(self.stem(x)),)


@pytest.mark.parametrize(
    'block, kinds, ends, scales',
    [
        (SelectiveBlock, ['conv'], ['.conv2'], [None]),
        (TransformerBlock, ['attention', 'mlp'], ['.attn', '.mlp'], ['scale1', 'scale2']),
        (ScaledByModules, ['attention', 'mlp'], ['.attn', '.scale2'], [None, None]),
        (FoldingBlock, ['conv'], [''], [None]),
    ],
)
def test_blocks_are_told_apart_by_what_lies_around_their_layers(block, kinds, ends, scales):
    backbone = Plain(block)
    branches = find_branches(backbone, find_anatomy(backbone))
    assert [b.kind for b in branches] == kinds * 2
    assert [b.end for b in branches] == [f'blocks.{i}{end}' for i in range(2) for end in ends]
    assert [b.scale for b in branches] == scales * 2
