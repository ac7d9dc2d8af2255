"""Side-tuning: a small network beside the backbone that sees the image only."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.taps import Tap
from mmest.registry import TUNINGS
from mmest.tuning.base import TuningMethod


@TUNINGS.register_module()
class SideTuning(TuningMethod):
    """α_k B_k(x) + (1 − α_k) S_k(x) for every output k: B the frozen backbone, S a small convolutional network on the
    image (Zhang et al., 2020, equation 1).

    The source starts α at σ(0) = 0.5, for a side network that starts as a copy of the backbone. Here S starts at random
    and α, a free number, at 1, so that training begins at the pretrained features: in the first step α alone moves, as
    layers that start at zero do in other methods, and by AdamW, which steps by a gradient's direction, S follows at its
    full rate; by SGD its rate carries the factor 1 − α. S is a pyramid of 3×3 convolutions with stride 2, group norm
    and ReLU, and one 1×1 convolution per output.

    Args:
        backbone: the backbone to tune.
        width: channels of the first convolution; each halving of the resolution doubles them, up to eight times.
        lr_mult: factor on the learning rate of the side network.

    Raises:
        ValueError: the blocks of the backbone cannot be found.
    """

    beside = True
    acts_on = 'beside the backbone, on the image'
    source = 'Zhang et al., ECCV 2020'

    def __init__(self, backbone: nn.Module, width: int = 16, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, lr_mult)
        anatomy = find_anatomy(backbone)
        self.levels = [max(1, round(math.log2(anatomy.image[0] / output.size[0]))) for output in anatomy.outputs]
        widths = [width * min(8, 2**level) for level in range(max(self.levels))]
        self.pyramid = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.GroupNorm(math.gcd(8, after), after),
                nn.ReLU(),
            )
            for before, after in zip([anatomy.image_channels] + widths, widths)
        )
        self.project = nn.ModuleList(
            nn.Conv2d(widths[level - 1], output.channels, 1) for level, output in zip(self.levels, anatomy.outputs)
        )
        self.alphas = nn.ParameterList(nn.Parameter(torch.ones(())) for _ in anatomy.outputs)

    def forward(self, features: Sequence[Tensor], taps: Sequence[Tap], image: Tensor) -> list[Tensor]:
        maps, x = [], image
        for layer in self.pyramid:
            x = layer(x)
            maps.append(x)
        outputs = []
        for feature, level, project, alpha in zip(features, self.levels, self.project, self.alphas):
            side = project(maps[level - 1])
            if side.shape[-2:] != feature.shape[-2:]:  # the backbone rounds odd sizes in its own way
                side = F.interpolate(side, feature.shape[-2:], mode='bilinear', align_corners=False)
            outputs.append(feature * alpha + side.to(feature.dtype) * (1 - alpha))
        return outputs
