"""Lists inside a block that folds the patches of a map into the batch or into rows (MobileViT)."""

import pytest
import torch
from test_lists import Backbone, Block
from torch import nn
from toy import METHODS

import mmest
from mmest.anatomy.blocks import find_anatomy


class Tokens(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(channels, channels), nn.Linear(channels, channels)

    def forward(self, x):
        return x + self.fc2(self.fc1(x).relu())


class Rows(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, channels, 1), nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return x + self.conv2(self.conv1(x).relu())


class Folding(nn.Module):
    """Mixes what lies at the same place of all patches of 2×2: as B·4×L×C (MobileViT), or B×C×4×L (its version 2)."""

    def __init__(self, channels: int, into_batch: bool) -> None:
        super().__init__()
        self.into_batch = into_batch
        self.transformer = nn.Sequential(*((Tokens if into_batch else Rows)(channels) for _ in range(2)))
        self.fusion = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, x):
        b, c, h, w = x.shape
        parts = x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 2, 4, 1).reshape(b * 4, h * w // 4, c)
        if self.into_batch:
            parts = self.transformer(parts)
        else:
            rows = self.transformer(parts.reshape(b, 4, -1, c).permute(0, 3, 1, 2))
            parts = rows.permute(0, 2, 3, 1).reshape(b * 4, -1, c)
        y = parts.reshape(b, 2, 2, h // 2, w // 2, c).permute(0, 5, 3, 1, 4, 2).reshape(b, c, h, w)
        return self.fusion(torch.cat([x, y], 1))


def backbone(into_batch: bool) -> nn.Module:
    """For the probe's image the numbers of tokens and of rows are those of a map as well: of stage 1 in a batch, and of
    stage 2 in rows.
    """
    torch.manual_seed(0)
    return Backbone(
        nn.Sequential(Block(8), Block(8)),
        nn.Sequential(Block(16, before=8), Folding(16, into_batch)),
        nn.Sequential(Block(24, before=16), Folding(24, into_batch)),
    ).eval()


@pytest.mark.parametrize('into_batch', [True, False])
def test_the_block_around_them_is_the_block(into_batch):
    anatomy = find_anatomy(backbone(into_batch))
    assert [block.name for block in anatomy.blocks] == [f'stage{i}.{k}' for i in range(3) for k in range(2)]
    assert [(block.channels, block.size) for block in anatomy.blocks[1::2]] == [
        (8, (16, 24)),
        (16, (8, 12)),
        (24, (4, 6)),
    ]
    assert [output.block for output in anatomy.outputs] == [1, 3, 5]


@pytest.mark.parametrize('method', ['est', 'lora', 'adapter', 'partial'])
@pytest.mark.parametrize('into_batch', [True, False])
def test_they_are_tuned(into_batch, method):
    knobs, image = dict(METHODS[method]), torch.rand(2, 3, 32, 64)
    plain = backbone(into_batch)
    with torch.no_grad():
        expected = plain(image)
    tuned = mmest.tune(plain, knobs.pop('type'), **knobs)
    found = tuned(image)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    sum((f * torch.rand_like(f)).sum() for f in found).backward()
    assert all(p.grad is not None for p in tuned.parameters() if p.requires_grad)


def test_without_a_list_around_them_they_are_refused_as_before():
    class Alone(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.block = nn.Conv2d(3, 8, 4, 4), Folding(8, False)

        def forward(self, x):
            return [self.block(self.stem(x))]

    with pytest.raises(ValueError, match=r'the output of block "block.transformer.0" should be a B×C×H×W map'):
        find_anatomy(Alone())
