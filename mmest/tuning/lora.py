"""LoRA, for linear layers and convolutions."""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmest.anatomy.blocks import Anatomy, find_anatomy
from mmest.anatomy.branches import ATTENTION, CONV, Branch, Weight, find_branches
from mmest.anatomy.plain import is_plain
from mmest.anatomy.probe import first_tensor
from mmest.registry import TUNINGS
from mmest.tuning.base import TuningMethod
from mmest.tuning.knobs import Factor
from mmest.tuning.substitution import Place, own_tensors, with_tensors


class LowRankUpdate(nn.Module):
    """ΔW = s · B A for one weight, zero at the start (Hu et al., 2022, equation 3).

    Args:
        weight: the weight, out × in, or out × in × k × k of a convolution without groups; A is rank × in (× k × k), B
            is out × rank.
        rank: r.
        scale: s = α / r.
    """

    def __init__(self, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.a = nn.Parameter(torch.empty(rank, *weight.shape[1:]))
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank))
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def delta(self) -> Tensor:
        """ΔW, of the weight's shape."""
        return (self.b @ self.a.flatten(1)).view(-1, *self.a.shape[1:]) * self.scale

    def pays_beside(self, layer: nn.Module) -> bool:
        """Whether ΔW x is right, and computed for less beside the layer than in it, as (W + ΔW) x.

        In it, a training step has the gradient of a whole weight to compute; beside it, three passes of A and B over
        the same positions, which costs more where a convolution has few channels. A convolution of a class of its own
        may pad its input or norm its weight, so there ΔW has to be in it.
        """
        if isinstance(layer, nn.Linear):
            return True
        plain = is_plain(layer) and layer.padding_mode == 'zeros'
        return plain and 3 * (self.a.numel() + self.b.numel()) < layer.weight.numel()

    def forward(self, layer: nn.Module, x: Tensor) -> Tensor:
        """ΔW applied to the layer's input, without making ΔW."""
        if isinstance(layer, nn.Linear):
            return F.linear(F.linear(x, self.a), self.b) * self.scale
        y = F.conv2d(x, self.a, None, layer.stride, layer.padding, layer.dilation)
        return F.conv2d(y, self.b[:, :, None, None]) * self.scale


class LowRankUpdates(TuningMethod):
    """A method that updates weights of the backbone by products of low rank.

    A subclass calls :meth:`update_weights` when it is built.
    """

    changes_layers = True

    def update_weights(
        self,
        backbone: nn.Module,
        anatomy: Anatomy,
        rank: int,
        alpha: float | None,
        targets: None | str | Sequence[str],
    ) -> None:
        """Make the updates and hook them in; see :class:`LoRA` for arguments and errors."""
        branches = find_branches(backbone, anatomy)
        scale = (rank if alpha is None else alpha) / rank
        self.updates = nn.ModuleList()
        self._names: list[str] = []
        for branch in branches:
            for weight in self._chosen(backbone, branch, branches, targets):
                self.updates.append(LowRankUpdate(backbone.get_parameter(weight.name), rank, scale))
                self._names.append(weight.name)
                self._attach(backbone, branch, weight)
        if not self._names:
            raise ValueError(f'{type(self).__name__}: {_why_none(backbone, branches, targets)}')

    @staticmethod
    def _chosen(
        backbone: nn.Module, branch: Branch, branches: Sequence[Branch], targets: None | str | Sequence[str]
    ) -> list[Weight]:
        suitable = [weight for weight in branch.weights if _suits(backbone, weight)]
        if targets is None:
            attention = any(other.kind == ATTENTION for other in branches)
            return [
                weight
                for weight in suitable
                if (
                    branch.kind == ATTENTION and not weight.is_output and _is_pointwise(backbone, weight)
                    if attention
                    else branch.kind == CONV
                )
            ]
        if isinstance(targets, str):
            return [weight for weight in suitable if re.fullmatch(targets, _target(weight))]
        return [weight for weight in suitable if f'.{_target(weight)}'.endswith(tuple(f'.{t}' for t in targets))]

    def _attach(self, backbone: nn.Module, branch: Branch, weight: Weight) -> None:
        i = len(self.updates) - 1
        if weight.called and self.updates[i].pays_beside(backbone.get_submodule(weight.layer)):
            self.hook_after(backbone, weight.layer, LowRankUpdates._add_update, i)
        else:
            outer = weight.layer if weight.called else branch.name
            place = Place(weight.layer[len(outer) + 1 :], weight.name[len(weight.layer) + 1 :])
            self.hook_around(backbone, outer, LowRankUpdates._run_updated, i, {'weight': place})

    def _add_update(self, i: int, layer: nn.Module, args, kwargs, output: Tensor) -> Tensor:
        return output + self.updates[i](layer, first_tensor((*args, *kwargs.values()))).to(output.dtype)

    def _run_updated(
        self, i: int, places: dict[str, Place], inner: Callable, module: nn.Module, *args, **kwargs
    ) -> Any:
        weight = own_tensors(module, places)['weight'] + self.updates[i].delta()
        return inner(with_tensors(module, places, {'weight': weight}), *args, **kwargs)


@TUNINGS.register_module()
class LoRA(LowRankUpdates):
    """Low-rank updates of weights: W + (α / r) B A (Hu et al., 2022). Of fused queries, keys and values all three are
    updated, by one pair of factors.

    Args:
        backbone: the backbone to tune.
        rank: r.
        alpha: α; None for r, which makes the factor 1.
        targets: None for the queries, keys and values of attention, or, in a backbone without attention, the
            convolutions of its blocks. A list of names such as ``['qkv', 'proj']``: layers whose name ends so. A
            string: a regular expression for the whole name. Layers of ``nn.MultiheadAttention`` are named
            ``in_proj_weight`` and ``out_proj``.
        lr_mult: factor on the learning rate of the updates.

    Raises:
        ValueError: the targets match no layer; the message names those that exist, if any do.
    """

    acts_on = 'queries, keys, values (or convolutions)'
    source = 'Hu et al., ICLR 2022'

    def __init__(
        self,
        backbone: nn.Module,
        rank: int = 16,
        alpha: Factor | None = None,
        targets: None | str | Sequence[str] = None,
        lr_mult: float = 1.0,
    ) -> None:
        super().__init__(backbone, lr_mult)
        self.update_weights(backbone, find_anatomy(backbone), rank, alpha, targets)

    def merge(self, backbone: nn.Module) -> None:
        with torch.no_grad():
            for name, update in zip(self._names, self.updates):
                backbone.get_parameter(name).add_(update.delta())


def _why_none(backbone: nn.Module, branches: Sequence[Branch], targets: None | str | Sequence[str]) -> str:
    kind = type(backbone).__name__
    existing = sorted({_short(_target(w)) for branch in branches for w in branch.weights if _suits(backbone, w)})
    if not existing:
        return f'the blocks of {kind} have no linear layer, and no convolution without groups, that can be updated.'
    names = f'The names of its layers end in {", ".join(existing)}.'
    if targets is None:
        return f'the blocks of {kind} have none of the layers that are updated by default. Name targets. {names}'
    return f'the targets {targets!r} match no layer in the blocks of {kind}. {names}'


def _suits(backbone: nn.Module, weight: Weight) -> bool:
    # A low-rank update of a grouped convolution is no grouped convolution.
    return getattr(backbone.get_submodule(weight.layer), 'groups', 1) == 1


def _is_pointwise(backbone: nn.Module, weight: Weight) -> bool:
    # Attention of pyramid transformers also has a convolution that reduces keys and values.
    return max(backbone.get_parameter(weight.name).shape[2:], default=1) == 1


def _target(weight: Weight) -> str:
    return weight.name.removesuffix('.weight')


def _short(target: str) -> str:
    """The last part of a name that is no number, and what follows."""
    parts = target.split('.')
    first = max((i for i, part in enumerate(parts) if not part.isdigit()), default=0)
    return '.'.join(parts[first:])
