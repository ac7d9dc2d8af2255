"""Methods that train parameters which the backbone has already."""
from typing import List

from torch import nn

from mmest.backbones.anatomy import find_anatomy
from mmest.registry import TUNINGS
from mmest.tuning.base import TuningMethod


@TUNINGS.register_module()
class Full(TuningMethod):
    """Full fine-tuning: everything trains that the backbone itself does not freeze (``frozen_stages``)."""

    def __init__(self, backbone: nn.Module, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, lr_mult)
        backbone.train()  # some backbones freeze only here; the optimizer and DDP must see it from the start
        self._own_choice = [p.requires_grad for p in backbone.parameters()]

    def trained_modules(self, backbone: nn.Module) -> List[nn.Module]:
        return [backbone]

    def trained_parameters(self, backbone: nn.Module):
        return (p for p, trains in zip(backbone.parameters(), self._own_choice) if trains)


@TUNINGS.register_module()
class Frozen(TuningMethod):
    """Nothing of the backbone trains: the floor of memory, and of accuracy."""


@TUNINGS.register_module()
class Partial(TuningMethod):
    """The last blocks and the output norms train; no graph reaches further back.

    Args:
        backbone: the backbone to tune.
        blocks: how many blocks, counted back from the one that feeds the last output.
        lr_mult: factor on the learning rate of what trains in the backbone.

    Raises:
        ValueError: the backbone has fewer blocks.
    """

    def __init__(self, backbone: nn.Module, blocks: int = 1, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, lr_mult)
        anatomy = find_anatomy(backbone)
        used = anatomy.blocks[:max(output.block for output in anatomy.outputs) + 1]
        if not 1 <= blocks <= len(used):
            raise ValueError(f'Partial: blocks should lie between 1 and {len(used)}, the number of blocks of '
                             f'{type(backbone).__name__}, but it is {blocks}.')
        self.names = [block.name for block in used[-blocks:]] + list(anatomy.output_norms)

    def trained_modules(self, backbone: nn.Module) -> List[nn.Module]:
        return [backbone.get_submodule(name) for name in self.names]
