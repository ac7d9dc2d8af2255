"""E³VA, adapters on a gradient highway."""
from typing import Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmest.registry import TUNINGS
from mmest.tuning.side.network import SideNetwork, pool_to


class LowRankAdapter(nn.Module):
    """U GELU(D h) with D = Q_D P_D and U = Q_U P_U of low rank, zero at the start.

    Args:
        channels: width C of h (…×C).
        hidden: width between D and U.
        rank: of both.
    """

    def __init__(self, channels: int, hidden: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Linear(channels, rank, bias=False), nn.Linear(rank, hidden))
        self.up = nn.Sequential(nn.Linear(hidden, rank, bias=False), nn.Linear(rank, channels))
        nn.init.zeros_(self.up[1].weight)
        nn.init.zeros_(self.up[1].bias)

    def forward(self, h: Tensor) -> Tensor:
        return self.up(F.gelu(self.down(h)))


@TUNINGS.register_module()
class E3VA(SideNetwork):
    """Low-rank adapters on the output of every block, whose sum runs beside the backbone as its gradient highway (Yin et
    al., 2024).

    Within a stage s ← s + A_j(h_j), s of the block's width C; the highway takes the backbone's downsampling along: its
    resolution and width follow the stages, by average pooling and a linear map without bias. Output k becomes
    γ_k ⊙ (f_k + s) + β_k, γ = 1 and β = 0 at the start: the trainable norm in front of the neck, reduced to its gain and
    bias, because f_k is normalised already. The source has an adapter for attention and one for the MLP of each block, and
    runs the highway through the backbone's own frozen downsampling layers.

    Args:
        backbone: the backbone to tune.
        rank: of the adapters' projections.
        reduction: the adapters are C / reduction wide between the projections, at least 8.
        lr_mult: factor on the learning rate of the side network.

    Raises:
        ValueError: the blocks of the backbone cannot be found, or their resolution rises.
    """
    acts_on = 'beside the backbone'
    source = 'Yin et al., ACM MM 2024'

    def __init__(self, backbone: nn.Module, rank: int = 8, reduction: int = 4, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, 'block', lr_mult)
        self.adapters = nn.ModuleList(
            LowRankAdapter(block.channels, max(8, block.channels // reduction), rank) for block in self.tapped)
        self.changes = nn.ModuleDict({
            str(i): nn.Linear(self.tapped[i - 1].channels, block.channels, bias=False)
            for i, block in enumerate(self.tapped) if self.starts_stage(i)})
        self.gains = nn.ParameterList(nn.Parameter(torch.ones(o.channels, 1, 1)) for o in self.outputs)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(o.channels, 1, 1)) for o in self.outputs)

    def change_stage(self, i: int, state: Tensor, size: Tuple[int, int]) -> Tensor:
        return self.changes[str(i)](pool_to(state, size))

    def advance(self, i: int, h: Tensor, state: Optional[Tensor]) -> Tensor:
        s = self.adapters[i](h)
        return s if state is None else state + s

    def correct(self, k: int, feature: Tensor, state: Tensor) -> Tensor:
        highway = feature + state.permute(0, 3, 1, 2).to(feature.dtype)
        return highway * self.gains[k] + self.biases[k]
