"""AdaptFormer."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from mmest.anatomy.branches import ATTENTION
from mmest.registry import TUNINGS
from mmest.tuning.insertion import InsertedMethod
from mmest.tuning.knobs import Dropout, Factor


class ScaledBottleneck(nn.Module):
    """The correction s · U ReLU(D x), zero at the start.

    Args:
        channels: width C of x (…×C).
        hidden: width of the bottleneck.
        scale: s.
        dropout: rate behind the ReLU.
    """

    def __init__(self, channels: int, hidden: int, scale: float, dropout: float) -> None:
        super().__init__()
        self.scale = scale
        self.dropout = dropout
        self.down = nn.Linear(channels, hidden)
        self.up = nn.Linear(hidden, channels)
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5))
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(F.dropout(F.relu(self.down(x)), self.dropout, self.training)) * self.scale


@TUNINGS.register_module()
class AdaptFormer(InsertedMethod):
    """A bottleneck beside the MLP: MLP(LN(x)) + s · U ReLU(D x), x the features in front of the norm (Chen et al.,
    2022, equation 5). In blocks that are one branch, beside that one, where it keeps the shape.

    Args:
        backbone: the backbone to tune.
        hidden: width of the bottleneck.
        scale: s.
        dropout: rate behind the ReLU; 0.1 in the published code.
        lr_mult: factor on the learning rate of the bottlenecks.
    """

    acts_on = 'beside the MLP'
    source = 'Chen et al., NeurIPS 2022'

    def __init__(
        self, backbone: nn.Module, hidden: int = 64, scale: Factor = 0.1, dropout: Dropout = 0.1, lr_mult: float = 1.0
    ) -> None:
        super().__init__(backbone, lr_mult)
        for branch in self.branches:
            if branch.kind != ATTENTION and branch.keeps_shape:
                self.in_parallel(backbone, branch, ScaledBottleneck(branch.channels, hidden, scale, dropout), True)
