"""Convpass."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmest.registry import TUNINGS
from mmest.tuning.insertion import InsertedMethod
from mmest.tuning.knobs import Dropout, Factor


def quick_gelu(x: Tensor) -> Tensor:
    """X · σ(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)


class ConvBottleneck(nn.Module):
    """The correction s · U φ(Conv_3×3(φ(D x))), φ the quick GELU, zero at the start.

    Args:
        channels: width C of x (B×H×W×C).
        hidden: width of the bottleneck.
        scale: s.
        dropout: rate in front of U.
    """

    spatial = True

    def __init__(self, channels: int, hidden: int, scale: float, dropout: float) -> None:
        super().__init__()
        self.scale = scale
        self.dropout = dropout
        self.down = nn.Linear(channels, hidden)
        self.conv = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.up = nn.Linear(hidden, channels)
        nn.init.xavier_uniform_(self.down.weight)
        nn.init.dirac_(self.conv.weight)
        for zero in (self.down.bias, self.conv.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor) -> Tensor:
        x = quick_gelu(self.down(x)).permute(0, 3, 1, 2)
        x = quick_gelu(self.conv(x).permute(0, 2, 3, 1))
        return self.up(F.dropout(x, self.dropout, self.training)) * self.scale


@TUNINGS.register_module()
class Convpass(InsertedMethod):
    """A bottleneck with a 3×3 convolution beside attention and MLP, from the same normalised input (Jie & Deng, 2022).
    In blocks that are one branch, beside that one. A branch that changes the shape has none beside it: the first of a
    ResNet's stage, attention that pools (MViT). Where a block takes no norm first (Swin V2), from the input as it is.

    The class token is convolved as an image of one pixel, as in the published code; the convolution starts as identity.

    Args:
        backbone: the backbone to tune.
        hidden: width of the bottleneck.
        scale: factor on the correction; the source sweeps it from 0.01 to 10 for each task.
        dropout: rate in front of the up projection; 0.1 in the published code.
        lr_mult: factor on the learning rate of the bottlenecks.
    """

    acts_on = 'beside attention and MLP'
    source = 'Jie & Deng, 2022, arXiv 2207.07039'

    def __init__(
        self, backbone: nn.Module, hidden: int = 8, scale: Factor = 1.0, dropout: Dropout = 0.1, lr_mult: float = 1.0
    ) -> None:
        super().__init__(backbone, lr_mult)
        for branch in self.branches:
            if branch.keeps_shape or branch.takes_windows:  # which is refused, in a sentence
                self.in_parallel(backbone, branch, ConvBottleneck(branch.channels, hidden, scale, dropout), False)
