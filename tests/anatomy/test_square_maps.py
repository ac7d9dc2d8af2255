"""Square maps with as many channels as rows, whose shape does not say where the channels are."""

import pytest
import torch
from small_attention import Attention, C
from torch import nn

import mmest
from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.branches import find_branches

SIDE = 224  # the only images that it takes


class AttentionBlock(nn.Module):
    """Takes and gives B×C×H×W, and works on B×H×W×C, as MaxViT's."""

    def __init__(self):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(C), Attention()
        self.norm2, self.mlp = nn.LayerNorm(C), nn.Sequential(nn.Linear(C, 2 * C), nn.GELU(), nn.Linear(2 * C, C))

    def forward(self, x):
        x = x.permute(0, 2, 3, 1)
        x = x + self.attn(self.norm1(x))
        x = x + self.mlp(self.norm2(x))
        return x.permute(0, 3, 1, 2)


class ConvBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(C, 2 * C, 3, padding=1), nn.Conv2d(2 * C, C, 1)

    def forward(self, x):
        return x + self.conv2(self.conv1(x).relu())


class Square(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.stem = nn.Conv2d(3, C, SIDE // C, stride=SIDE // C)
        self.blocks = nn.ModuleList(block() for _ in range(2))

    def forward(self, x):
        assert x.shape[2:] == (SIDE, SIDE)
        x = self.stem(x)
        assert x.shape[1:] == (C, C, C)
        for block in self.blocks:
            x = block(x)
        return (x,)


@pytest.mark.parametrize('block, first', [(AttentionBlock, False), (ConvBlock, True)])
def test_what_works_on_a_map_says_where_its_channels_are(block, first):
    torch.manual_seed(0)
    backbone = Square(block).eval()
    branches = find_branches(backbone, find_anatomy(backbone))
    assert branches and all(one.channels_first is one.input_channels_first is first for one in branches)
    image = torch.randn(2, 3, SIDE, SIDE)
    expected = backbone(image)[0].detach()
    tuned = mmest.tune(backbone, 'Adapter')
    assert torch.equal(tuned(image)[0], expected)


class LayerNorm2d(nn.LayerNorm):
    """Over dimension 1."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class NormedConvBlock(ConvBlock):
    def __init__(self):
        super().__init__()
        self.norm = LayerNorm2d(C)

    def forward(self, x):
        return super().forward(self.norm(x))


@pytest.mark.parametrize('block, dim', [(AttentionBlock, -1), (NormedConvBlock, 1)])
def test_scales_of_layers_are_where_their_channels_are(block, dim):
    torch.manual_seed(0)
    method = mmest.tune(Square(block).eval(), 'SSF').method
    found = {layer.weight: change.dim for layer, change in zip(method._layers, method.changes)}
    assert len(found) > 4 and found.pop('stem.weight') == 1
    assert set(found.values()) == {dim}
