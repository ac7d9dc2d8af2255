"""Mona, the multi-cognitive visual adapter."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmest.registry import TUNINGS
from mmest.tuning.depthwise import DepthwiseConv2d
from mmest.tuning.insertion import InsertedMethod
from mmest.tuning.knobs import Dropout


class MultiCognitiveAdapter(nn.Module):
    """The correction U GELU(M(D z)), z = γ ⊙ LN(x) + γ_x ⊙ x, zero at the start (Yin et al., 2025, equations 3 to 6).

    M(y) = v + Conv_1×1(v), v = y + (DW_3×3(y) + DW_5×5(y) + DW_7×7(y)) / 3.

    Args:
        channels: width C of x (B×H×W×C).
        hidden: width of the bottleneck.
        dropout: rate in front of U.
    """

    spatial = True

    def __init__(self, channels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.norm = nn.LayerNorm(channels)
        self.gamma = nn.Parameter(torch.full((channels,), 1e-6))
        self.gamma_x = nn.Parameter(torch.ones(channels))
        self.down = nn.Linear(channels, hidden)
        self.filters = nn.ModuleList(DepthwiseConv2d(hidden, k) for k in (3, 5, 7))
        self.mix = nn.Conv2d(hidden, hidden, 1)
        self.up = nn.Linear(hidden, channels)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.down(self.gamma * self.norm(x) + self.gamma_x * x).permute(0, 3, 1, 2)
        y = sum(filter(y) for filter in self.filters) / 3 + y
        y = F.gelu((y + self.mix(y)).permute(0, 2, 3, 1))
        return self.up(F.dropout(y, self.dropout, self.training))


@TUNINGS.register_module()
class Mona(InsertedMethod):
    """A multi-cognitive adapter behind attention and behind the MLP, on the sum with the identity (Yin et al., 2025).
    In blocks that are one branch, behind the block.

    The published code starts U at random; it starts at zero here, so that training begins at the pretrained features.

    Args:
        backbone: the backbone to tune.
        hidden: width of the bottleneck.
        dropout: rate in front of the up projection; 0.1 in the published code.
        lr_mult: factor on the learning rate of the adapters.
    """

    acts_on = 'behind attention and MLP'
    source = 'Yin et al., CVPR 2025'

    def __init__(self, backbone: nn.Module, hidden: int = 64, dropout: Dropout = 0.1, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, lr_mult)
        for branch in self.branches:
            self.on_stream(backbone, branch, MultiCognitiveAdapter(branch.channels, hidden, dropout))
