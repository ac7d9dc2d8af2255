"""EST that also steers the backbone that it reads."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmest.anatomy.again import run_again_in_backward
from mmest.anatomy.kept import bytes_kept
from mmest.anatomy.taps import Tap
from mmest.registry import TUNINGS
from mmest.tuning.lora import LowRankUpdates
from mmest.tuning.side.est import EST

#: The rate of the updates, where that of the side network is 1: they change what the side network learns to read.
UPDATES_RATE = 0.3

#: What blocks that do not run again may keep, of what the largest block would.
SPARED = 0.5


def blocks_to_run_again(kept: dict[str, int]) -> list[str]:
    """Which blocks run again in the backward pass, of what each keeps if it does not, in the order in which they run.

    All but the last ones that together keep no more than :data:`SPARED` of the largest. Where the peak is the largest
    block's, running again, those have been through their backward pass, so that it stays; where it is in the head, it
    rises by what they keep.
    """
    names, spared, largest = list(kept), 0, max(kept.values(), default=0)
    while largest and spared + kept[names[-1]] <= SPARED * largest:
        spared += kept[names.pop()]
    return names


@TUNINGS.register_module()
class SteeredEST(LowRankUpdates, EST):
    """EST beside a backbone whose frozen weights get low-rank updates (LoRA) and whose blocks run again in backward.

    What a small convolutional network has lost in its first blocks no network beside it finds again: there the blocks
    themselves have to compute something else. The graph runs through the backbone then, of which only what goes into a
    block is kept, the last and small ones excepted (:func:`blocks_to_run_again`): more memory and time than EST, less
    memory than any method that keeps the graph. The side network reads what the steered blocks give; no gradient passes
    its taps. The updates learn at :data:`UPDATES_RATE` of its rate.

    Args:
        backbone: the backbone, of any kind whose blocks can be found.
        rank: of the updates.
        targets: the layers that are updated; see :class:`mmest.tuning.lora.LoRA`.
        reduction: see :class:`mmest.tuning.side.est.EST`.
        taps: see :func:`mmest.tuning.side.way.choose_taps`.
        narrow_taps: see :class:`mmest.tuning.side.est.EST`.
        recompute_all: run all blocks again, the last and small ones too: more time, and less memory where the peak is
            in the head.
        lr_mult: factor on the learning rate of all that trains in and beside the backbone.

    Raises:
        ValueError: as EST and LoRA do.
    """

    acts_on = 'beside the backbone, and on its weights'
    source = 'this package: EST with LoRA'
    beside = False
    recomputes_blocks = True
    taps_drift = True

    def __init__(
        self,
        backbone: nn.Module,
        rank: int = 16,
        targets: None | str | Sequence[str] = None,
        reduction: int | None = None,
        taps: str | int = 1,
        narrow_taps: bool = True,
        recompute_all: bool = False,
        lr_mult: float = 1.0,
    ) -> None:
        super().__init__(backbone, reduction=reduction, taps=taps, narrow_taps=narrow_taps, lr_mult=lr_mult)
        names = [block.name for block in self.anatomy.blocks]
        for name in names if recompute_all else blocks_to_run_again(bytes_kept(backbone, names)):
            self.hook_around(backbone, name, SteeredEST._rerun_in_backward)
        self.update_weights(backbone, self.anatomy, rank, None, targets)

    def lr_factor(self, name: str) -> float:
        rate = super().lr_factor(name)
        return rate * UPDATES_RATE if name.startswith('method.updates.') else rate

    def _rerun_in_backward(self, inner: Callable, block: nn.Module, *args, **kwargs) -> Any:
        if not torch.is_grad_enabled():
            return inner(block, *args, **kwargs)
        # Frozen modules are in eval mode, so nothing in a block is random.
        return run_again_in_backward(inner, (block, *args), kwargs, preserve_rng_state=False)

    def forward(self, features: Sequence[Tensor], taps: Sequence[Tap], image: Tensor) -> list[Tensor]:
        return super().forward(features, [tap._replace(feature=tap.feature.detach()) for tap in taps], image)
