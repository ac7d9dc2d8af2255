"""Lists of blocks of other kinds than an nn.ModuleList of like members."""

import pytest
import torch
from torch import nn
from toy import METHODS

import mmest
from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.lists import find_block_names


class Block(nn.Module):
    def __init__(self, channels: int, before: int | None = None) -> None:
        super().__init__()
        self.change = nn.Identity() if before is None else nn.Conv2d(before, channels, 2, 2)
        self.conv1, self.conv2 = nn.Conv2d(channels, channels, 3, padding=1), nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        x = self.change(x)
        return x + self.conv2(self.conv1(x).relu())


class OtherBlock(Block):
    """Of another class."""


class Named(nn.Module):
    """Blocks under names, as in timm's RegNet, where a stage may have one alone."""

    def __init__(self, *blocks: nn.Module) -> None:
        super().__init__()
        for i, block in enumerate(blocks):
            self.add_module(f'b{i + 1}', block)

    def forward(self, x):
        for block in self.children():
            x = block(x)
        return x


class Dense(nn.ModuleDict):
    """Layers that read all before them (Huang et al., CVPR 2017)."""

    def forward(self, x):
        maps = [x]
        for layer in self.values():
            maps.append(layer(torch.cat(maps, 1)))
        return torch.cat(maps, 1)


class DenseLayer(nn.Module):
    def __init__(self, before: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(before, 8, 1), nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x):
        return self.conv2(self.conv1(x).relu())


def dense(channels: int) -> Dense:
    return Dense(dict(a=DenseLayer(channels), b=DenseLayer(channels + 4)))


class Backbone(nn.Module):
    def __init__(self, *stages: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        for i, stage in enumerate(stages):
            self.add_module(f'stage{i}', stage)

    def forward(self, x):
        maps = [self.stem(x)]
        for name, stage in self.named_children():
            if name != 'stem':
                maps.append(stage(maps[-1]))
        return maps[1:]


def row(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, groups=channels), nn.Conv2d(channels, channels, 1))


KINDS = {
    'named': (
        lambda: Backbone(Named(Block(8)), Named(OtherBlock(16, 8), OtherBlock(16))),
        ['stage0.b1', 'stage1.b1', 'stage1.b2'],
    ),
    'mixed beside like': (
        lambda: Backbone(nn.Sequential(Block(8), Block(8)), nn.Sequential(Block(16, 8), OtherBlock(16))),
        ['stage0.0', 'stage0.1', 'stage1.0', 'stage1.1'],
    ),
    'mixed alone': (
        lambda: Backbone(nn.Sequential(Block(8), OtherBlock(8)), nn.Sequential(Block(16, 8), OtherBlock(16))),
        ['stage0.0', 'stage0.1', 'stage1.0', 'stage1.1'],
    ),
    'dense': (
        lambda: Backbone(dense(8), dense(16)),
        ['stage0.a', 'stage0.b', 'stage1.a', 'stage1.b'],
    ),
    'rows of layers': (
        lambda: Backbone(nn.Sequential(row(8), row(8))),
        ['stage0.0', 'stage0.1'],
    ),
}


@pytest.mark.parametrize('kind', KINDS)
def test_blocks_are_found(kind):
    make, names = KINDS[kind]
    assert find_block_names(make()) == names
    anatomy = find_anatomy(make())
    assert [output.block for output in anatomy.outputs][-1] == len(names) - 1


@pytest.mark.parametrize('method', ['est', 'lora', 'adapter', 'partial'])
@pytest.mark.parametrize('kind', KINDS)
def test_they_are_tuned(kind, method):
    knobs, image = dict(METHODS[method]), torch.rand(1, 3, 36, 52)
    plain = KINDS[kind][0]().eval()
    with torch.no_grad():
        expected = plain(image)
    tuned = mmest.tune(plain, knobs.pop('type'), **knobs)
    found = tuned(image)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))
    sum((f * torch.rand_like(f)).sum() for f in found).backward()
    assert all(p.grad is not None for p in tuned.parameters() if p.requires_grad)


def test_parts_of_a_block_are_no_list():
    class Pair(nn.Module):  # all that it has are two like modules
        def __init__(self):
            super().__init__()
            self.first, self.second = Block(8), Block(8)

        def forward(self, x):
            return x + self.second(self.first(x))

    assert find_block_names(Backbone(nn.Sequential(Pair(), Pair()))) == ['stage0.0', 'stage0.1']
