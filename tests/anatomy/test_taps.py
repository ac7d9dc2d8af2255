"""What taps read of a block is a map, whatever the block returns and whoever runs it."""

import pytest
import torch
from torch import Tensor, nn

import mmest


class Block(nn.Module):
    """x + W₂ GELU(W₁ x), B×H×W×C."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(channels, channels), nn.GELU(), nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class ChannelsLast(nn.Module):
    """Two blocks at stride 4 with 16 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 4, stride=4)
        self.blocks = nn.Sequential(Block(16), Block(16))

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.blocks(self.stem(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)]


@pytest.mark.parametrize('side', [32, 64])
def test_channels_last_is_known_where_a_map_has_as_many_rows_as_channels(side):
    tuned = mmest.tune(ChannelsLast()).eval()
    features, taps = tuned.read(torch.rand(1, 3, side, side))
    assert torch.equal(taps[-1].feature, features[0])


def test_torch_export_sees_the_taps_of_a_backbone_that_uses_a_module_twice():
    """It puts proxies in place of modules there."""
    backbone = ChannelsLast()
    backbone.blocks[0].activation = backbone.blocks[0].layers[1]
    tuned, image = mmest.tune(backbone).eval(), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        exported = torch.export.export(tuned, (image,), strict=False).module()
        assert torch.equal(exported(image)[0], tuned(image)[0])
