"""LoRand."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmest.registry import TUNINGS
from mmest.tuning.insertion import InsertedMethod


class MultiBranchProjection(nn.Module):
    """A linear layer whose weight is Σ_b A_b G_b B_b (Yin et al., 2023, equation 4).

    Args:
        in_features: width of the input (…×in_features).
        out_features: width of the result.
        branches: number of products.
        rank: A_b is in_features × rank, G_b rank × rank, B_b rank × out_features.
    """

    def __init__(self, in_features: int, out_features: int, branches: int, rank: int) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.empty(branches, in_features, rank))
        self.g = nn.Parameter(torch.empty(branches, rank, rank))
        self.b = nn.Parameter(torch.empty(branches, rank, out_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        for factor in (self.a, self.g, self.b):
            for matrix in factor.data:
                nn.init.kaiming_uniform_(matrix, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        weight = (self.a @ self.g @ self.b).sum(0)
        return F.linear(x, weight.t(), self.bias)


class LowRankAdapter(nn.Module):
    """The correction U GELU(D x) with D and U low-rank, zero at the start.

    Args:
        channels: width C of x (…×C).
        reduction: the bottleneck has C / reduction channels, at least one.
        branches: see :class:`MultiBranchProjection`.
        rank: see :class:`MultiBranchProjection`.
    """

    def __init__(self, channels: int, reduction: int, branches: int, rank: int) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.down = MultiBranchProjection(channels, hidden, branches, rank)
        self.up = MultiBranchProjection(hidden, channels, branches, rank)
        nn.init.zeros_(self.up.b)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(F.gelu(self.down(x)))


@TUNINGS.register_module()
class LoRand(InsertedMethod):
    """Adapters of low-rank projections behind every branch: r + U GELU(D r), before the identity is added (Yin et al.,
    2023). In blocks that are one branch, behind that one.

    The published code starts all factors at random and the biases uniformly; here B of the up projection and the biases
    start at zero, so that training begins at the pretrained features. It has a G for each projection, as here.

    Args:
        backbone: the backbone to tune.
        branches: products in each projection.
        rank: of the products.
        reduction: the bottleneck has C / reduction channels; C / 2 in the published code.
        lr_mult: factor on the learning rate of the adapters.
    """

    acts_on = 'behind attention and MLP'
    source = 'Yin et al., CVPR 2023'

    def __init__(
        self, backbone: nn.Module, branches: int = 4, rank: int = 8, reduction: int = 2, lr_mult: float = 1.0
    ) -> None:
        super().__init__(backbone, lr_mult)
        for branch in self.branches:
            self.in_series(backbone, branch, LowRankAdapter(branch.channels, reduction, branches, rank))
