"""E³VA, adapters on a gradient highway."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.downsampling import find_downsampling
from mmest.anatomy.probe import first_tensor
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
    """Low-rank adapters on the output of every block, whose sum runs beside the backbone as its gradient highway (Yin
    et al., 2024).

    Within a stage s ← s + A_j(h_j), s of the block's width C, so that h + s is the highway. It inherits the backbone's
    downsampling: s ← down(h + s) − down(h) with the backbone's own frozen layer, or, in backbones without one, average
    pooling and a linear map. Output k becomes γ_k ⊙ (f_k + s) + β_k, γ = 1 and β = 0 at the start: the trainable norm
    in front of the neck, reduced to its gain and bias, because f_k is normalised already. The source has an adapter for
    attention and one for the MLP of each block.

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
            LowRankAdapter(block.channels, max(8, block.channels // reduction), rank) for block in self.tapped
        )
        inherited = find_downsampling(backbone, find_anatomy(backbone))
        self.changes = nn.ModuleDict(
            {
                str(i): nn.Linear(self.tapped[i - 1].channels, block.channels, bias=False)
                for i, block in enumerate(self.tapped)
                if self.starts_stage(i) and i not in inherited
            }
        )
        self.gains = nn.ParameterList(nn.Parameter(torch.ones(o.channels, 1, 1)) for o in self.outputs)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(o.channels, 1, 1)) for o in self.outputs)
        for i, name in inherited.items():
            if i < len(self.tapped):
                self.hook_before(backbone, name, E3VA._see, i)

    def _see(self, i: int, module: nn.Module, args: tuple, kwargs: dict) -> None:
        run = self.current_pass()
        if run is not None:  # only the backbone's own call, not those of change_stage
            run.seen.setdefault(('downsampling', i), (module, args, kwargs))

    def change_stage(self, i: int, state: Tensor, size: tuple[int, int]) -> Tensor:
        if str(i) in self.changes:
            return self.changes[str(i)](pool_to(state, size))
        module, (h, *rest), kwargs = self.current_pass().seen[('downsampling', i)]
        step = (
            state.flatten(1, 2)
            if h.ndim == 3
            else state.permute(0, 3, 1, 2)
            if (h.shape[1] == state.shape[3] and h.shape[2:] == state.shape[1:3])
            else state
        )
        change = first_tensor(module(h + step, *rest, **kwargs)) - first_tensor(module(h, *rest, **kwargs))
        if change.ndim == 3:
            return change.unflatten(1, size)
        return change.permute(0, 2, 3, 1) if tuple(change.shape[2:]) == size else change

    def advance(self, i: int, h: Tensor, state: Tensor | None) -> Tensor:
        s = self.adapters[i](h)
        return s if state is None else state + s

    def correct(self, k: int, feature: Tensor, state: Tensor) -> Tensor:
        highway = feature + state.permute(0, 3, 1, 2).to(feature.dtype)
        return highway * self.gains[k] + self.biases[k]
