"""E³VA, adapters on a gradient highway."""

from typing import Any

import torch
from torch import Tensor, nn

from mmest.anatomy.blocks import Block
from mmest.anatomy.branches import CONV, Branch, find_branches, refuse_windows
from mmest.anatomy.downsampling import find_downsampling
from mmest.anatomy.probe import first_tensor
from mmest.mixed_precision import is_mixed, without_autocast
from mmest.registry import TUNINGS
from mmest.tuning.lorand import LowRankAdapter
from mmest.tuning.side.network import SideNetwork, pool_to
from mmest.tuning.side.way import find_rise


@TUNINGS.register_module()
class E3VA(SideNetwork):
    """Low-rank adapters on the results of attention and MLP of every block, whose sum runs beside the backbone as its
    gradient highway (Yin et al., 2024).

    Within a stage s ← s + Σ A(r) over the results r of the branches of a block, s of the block's width C, so that h + s
    is the highway. A is LoRand's adapter with two branches of rank 8 and C / 2 between the projections: the source's
    dual low-rank structure, and with the gains and shifts of the outputs the size that it gives, 1.20 M on Swin-B. In
    blocks that are one branch, as a ResNet's, one adapter reads the block's output. A layer scale that is a parameter
    of the block (BEiT) acts behind r.

    The highway inherits the backbone's downsampling: s ← down(h + s) − down(h) with the backbone's own frozen layer,
    or, in backbones without one, average pooling and a linear map. Output k becomes γ_k ⊙ (f_k + s) + β_k, γ = 1 and
    β = 0 at the start: the trainable norm in front of the neck, reduced to its gain and bias, because f_k is normalised
    already. The source says neither whether r is read before or after the identity is added (before, here, as with all
    adapters) nor how A starts (at zero, here, so that training begins at the pretrained features).

    Args:
        backbone: the backbone to tune.
        rank: of the adapters' projections.
        reduction: the adapters are C / reduction wide between the projections, at least one.
        branches: products in each projection.
        lr_mult: factor on the learning rate of the side network.

    Raises:
        ValueError: the blocks of the backbone cannot be found, their resolution rises, or an output has other channels
            than the block that feeds it; a branch gives its result in windows.
    """

    acts_on = 'beside the backbone'
    source = 'Yin et al., ACM MM 2024'
    reruns_backbone = True

    def __init__(
        self, backbone: nn.Module, rank: int = 8, reduction: int = 2, branches: int = 2, lr_mult: float = 1.0
    ) -> None:
        super().__init__(backbone, 'block', lr_mult)
        self._refuse_rising_resolution(type(backbone).__name__)
        self.refuse_other_channels(type(backbone).__name__)
        found = find_branches(backbone, self.anatomy)
        self._branches = [[branch for branch in found if branch.block == i] for i in self.tapped_blocks]
        self.adapters = nn.ModuleList(
            nn.ModuleList(LowRankAdapter(block.channels, reduction, branches, rank) for _ in own)
            for block, own in zip(self.tapped, self._branches)
        )
        for branch in found:
            if branch.kind != CONV:
                refuse_windows(branch, 'E3VA')
                self.hook_after(backbone, branch.end, E3VA._see_result, branch)
        inherited = find_downsampling(backbone, self.anatomy)
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
                self.hook_before(backbone, name, E3VA._see_downsampling, i)

    def _refuse_rising_resolution(self, kind: str) -> None:
        rise = find_rise(self.anatomy)
        if rise:
            raise ValueError(
                f'E3VA follows the downsampling of the backbone, but the resolution of {kind} {rise}. Use another '
                'method beside the backbone, such as EST.'
            )

    def _see_result(self, branch: Branch, module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        run = self.current_pass()
        if run is not None:
            run.seen[branch.end] = first_tensor(output)

    def _see_downsampling(self, i: int, module: nn.Module, args: tuple, kwargs: dict) -> None:
        run = self.current_pass()
        if run is not None:  # only the backbone's own call, not those of change_stage
            run.seen.setdefault(('downsampling', i), (module, args, kwargs))

    def _result(self, branch: Branch, block: Block, h: Tensor) -> Tensor:
        """The result of a branch of a block as a map like the block's output h, B×H×W×C."""
        if branch.kind == CONV:
            return h
        result = self.current_pass().seen.pop(branch.end)
        if result.ndim == 3:
            return result[:, block.prefix_tokens :].unflatten(1, h.shape[1:3])
        return result.permute(0, 2, 3, 1) if branch.channels_first else result

    def change_stage(self, i: int, state: Tensor, size: tuple[int, int]) -> Tensor:
        if str(i) in self.changes:
            return self.changes[str(i)](pool_to(state, size))
        module, (h, *rest), kwargs = self.current_pass().seen[('downsampling', i)]
        kind = h.device.type
        if is_mixed(kind):  # of two results that are rounded the difference would be little but rounding
            h, state = h.float(), state.float()
        step = (
            state.flatten(1, 2)
            if h.ndim == 3
            else state.permute(0, 3, 1, 2)
            if (h.shape[1] == state.shape[3] and h.shape[2:] == state.shape[1:3])
            else state
        )
        with without_autocast(kind):
            change = first_tensor(module(h + step, *rest, **kwargs)) - first_tensor(module(h, *rest, **kwargs))
        if change.ndim == 3:
            return change.unflatten(1, size)
        return change.permute(0, 2, 3, 1) if tuple(change.shape[2:]) == size else change

    def advance(self, i: int, h: Tensor, state: Tensor | None) -> Tensor:
        for adapter, branch in zip(self.adapters[i], self._branches[i]):
            step = adapter(self._result(branch, self.tapped[i], h))
            state = step if state is None else state + step
        return state

    def correct(self, k: int, feature: Tensor, state: Tensor) -> Tensor:
        highway = feature + state.permute(0, 3, 1, 2).to(feature.dtype)
        return highway * self.gains[k] + self.biases[k]
