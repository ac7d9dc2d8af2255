"""Methods that train parameters which the backbone has already."""

from collections.abc import Iterator

from torch import nn

from mmest.anatomy.blocks import find_anatomy, is_norm
from mmest.anatomy.order import blocks_before
from mmest.registry import TUNINGS
from mmest.tuning.base import TuningMethod
from mmest.tuning.knobs import LayerDecay


@TUNINGS.register_module()
class Full(TuningMethod):
    """Full fine-tuning: everything trains that the backbone itself does not freeze (``frozen_stages``).

    Args:
        backbone: the backbone to tune.
        lr_mult: factor on the learning rate of the backbone; 0.1 is common.
        layer_decay: factor on the learning rate from each block to the one before it; what comes in front of the first
            block counts as one more, output norms as none (Clark et al., ICLR 2020; Bao et al., ICLR 2022).
    """

    acts_on = 'all parameters'
    source = 'the reference of every comparison'

    def __init__(self, backbone: nn.Module, lr_mult: float = 1.0, layer_decay: LayerDecay = 1.0) -> None:
        super().__init__(backbone, lr_mult)
        backbone.train()  # some backbones freeze only here; the optimizer and DDP must see it from the start
        self._own_choice = [p.requires_grad for p in backbone.parameters()]
        self.layer_decay = layer_decay
        self._depth = {} if layer_decay == 1 else self._depths(backbone)

    @staticmethod
    def _depths(backbone: nn.Module) -> dict[str, int]:
        """By parameter: how many blocks lie behind it, itself counted. Layers between stages go with the block
        before.
        """
        anatomy = find_anatomy(backbone)
        before = blocks_before(backbone, anatomy)
        depths, current = {}, len(anatomy.blocks) + 1
        for name, _ in backbone.named_parameters():
            inside = [i for i, block in enumerate(anatomy.blocks) if name.startswith(f'{block.name}.')]
            current = len(anatomy.blocks) - inside[0] if inside else current
            owner = name.rpartition('.')[0]
            # What is not called by itself (a position table) goes by its place in the list of parameters.
            depths[name] = len(anatomy.blocks) + 1 - before[owner] if owner in before else current
            if name.startswith(tuple(f'{norm}.' for norm in anatomy.output_norms)):
                depths[name] = 0
        return depths

    def lr_factor(self, name: str) -> float:
        return self.lr_mult * self.layer_decay ** self._depth.get(name.removeprefix('backbone.'), 0)

    def trained_modules(self, backbone: nn.Module) -> list[nn.Module]:
        return [backbone]

    def trained_parameters(self, backbone: nn.Module) -> Iterator[nn.Parameter]:
        return (p for p, trains in zip(backbone.parameters(), self._own_choice) if trains)


@TUNINGS.register_module()
class Frozen(TuningMethod):
    """Nothing of the backbone trains: the floor of memory, and of accuracy."""

    acts_on = 'nothing'
    source = 'the floor of every comparison'
    trains = False


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

    acts_on = 'last blocks, output norms'
    source = 'Yosinski et al., NeurIPS 2014'

    def __init__(self, backbone: nn.Module, blocks: int = 1, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, lr_mult)
        anatomy = find_anatomy(backbone)
        used = anatomy.used
        if not 1 <= blocks <= len(used):
            raise ValueError(
                f'Partial: blocks should lie between 1 and {len(used)}, the number of blocks of '
                f'{type(backbone).__name__}, but it is {blocks}.'
            )
        self.names = [block.name for block in used[-blocks:]] + list(anatomy.output_norms)
        self._used = set(anatomy.parameters)

    def trained_modules(self, backbone: nn.Module) -> list[nn.Module]:
        return [backbone.get_submodule(name) for name in self.names]

    def trained_parameters(self, backbone: nn.Module) -> Iterator[nn.Parameter]:
        # Some blocks hold a layer that they never run, which would wait for a gradient in vain.
        chosen = {id(p) for p in super().trained_parameters(backbone)}
        return (p for name, p in backbone.named_parameters() if id(p) in chosen and name in self._used)


class _NamedParameters(TuningMethod):
    """Trains some parameters of the backbone, among those that an output depends on. All modules stay in eval mode:
    drop path is off, BatchNorm keeps its statistics.
    """

    def __init__(self, backbone: nn.Module, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, lr_mult)
        used = set(find_anatomy(backbone).parameters)
        self.names = [name for name in self._choose(backbone) if name in used]
        if not self.names:
            raise ValueError(
                f'{type(self).__name__} finds nothing to train in {type(backbone).__name__}: it acts on '
                f'{self.acts_on}, and no output depends on any.'
            )

    @staticmethod
    def _choose(backbone: nn.Module) -> Iterator[str]:
        raise NotImplementedError

    def trained_parameters(self, backbone: nn.Module) -> Iterator[nn.Parameter]:
        return (backbone.get_parameter(name) for name in self.names)


@TUNINGS.register_module()
class BitFit(_NamedParameters):
    """All biases train, those of normalisation layers among them."""

    acts_on = 'biases'
    source = 'Ben Zaken et al., ACL 2022'

    @staticmethod
    def _choose(backbone: nn.Module) -> Iterator[str]:
        # "in_proj_bias" is how nn.MultiheadAttention calls the bias of its queries, keys and values, "q_bias" and
        # "v_bias" how BEiT does; tables of relative positions are matrices.
        return (name for name, p in backbone.named_parameters() if name.endswith('bias') and p.ndim == 1)


@TUNINGS.register_module()
class NormTuning(_NamedParameters):
    """The weights and biases of all normalisation layers train."""

    acts_on = 'normalisation layers'
    source = 'Giannou et al., COLT 2023; LN-tuning, Qi et al., 2022'

    @staticmethod
    def _choose(backbone: nn.Module) -> Iterator[str]:
        return (
            f'{name}.{parameter}'
            for name, module in backbone.named_modules()
            if is_norm(module)
            for parameter, _ in module.named_parameters(recurse=False)
        )
