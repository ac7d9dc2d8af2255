"""SSF, scale and shift of features."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mmest.anatomy.blocks import find_anatomy, is_norm
from mmest.anatomy.branches import find_branches
from mmest.anatomy.layouts import is_channels_first
from mmest.anatomy.plain import is_plain
from mmest.anatomy.probe import probe
from mmest.registry import TUNINGS
from mmest.tuning.base import TuningMethod
from mmest.tuning.substitution import Place, own_tensors, with_tensors


class ScaleShift(nn.Module):
    """y = γ ⊙ x + β over channels, the identity at the start (Lian et al., 2022, equation 2).

    Args:
        channels: C.
        dim: where the channels of x are: 1 or -1.
        shift: whether there is a β.
    """

    def __init__(self, channels: int, dim: int, shift: bool) -> None:
        super().__init__()
        self.dim = dim
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels)) if shift else None

    def forward(self, x: Tensor) -> Tensor:
        shape = [-1] + [1] * (x.ndim - 2) if self.dim == 1 else [-1]
        gamma = self.gamma.view(shape)
        return (x * gamma if self.beta is None else torch.addcmul(self.beta.view(shape), x, gamma)).to(x.dtype)

    def of(self, weight: Tensor, bias: Tensor | None) -> dict[str, Tensor | None]:
        """Weight (C × …) and bias of a layer that does the same to its own output."""
        gamma = self.gamma.view(-1, *[1] * (weight.ndim - 1))
        return dict(weight=weight * gamma, bias=None if bias is None else torch.addcmul(self.beta, bias, self.gamma))


class _Layer(NamedTuple):
    weight: str
    bias: str | None


_BEHIND, _INSIDE = 'behind', 'inside'


def _where(layer: nn.Module, x: Tensor | None, dim: int) -> str | None:
    """Where a scale and a shift belong: behind a layer, if they are the same there as in its weight and bias, into
    which they are merged; else in these, as with a norm that has its activation inside. None where the scale would do
    nothing, as in a convolution that standardises its weight.

    Args:
        layer: a linear layer, a convolution or a norm.
        x: what it takes, for its shape.
        dim: of its output's channels.
    """
    if is_plain(layer) or x is None:
        return _BEHIND
    random = torch.Generator().manual_seed(0)
    bias = layer.bias if isinstance(getattr(layer, 'bias', None), Tensor) else None
    change = ScaleShift(len(layer.weight), dim, bias is not None)
    places = {name: Place('', name) for name in ('weight', 'bias')}

    def run(tensors: dict[str, Tensor | None]) -> Tensor:
        twin = with_tensors(layer, places, tensors)
        twin.training = False
        return twin.forward(some)

    with torch.no_grad():
        some = torch.randn(x.shape, generator=random).to(x)
        for p in change.parameters():
            p.uniform_(0.5, 1.5, generator=random)
        change.to(layer.weight)
        changed = change.of(layer.weight, bias)
        result = run(changed)
        if _close(result, change(run(dict(weight=layer.weight, bias=bias)))):
            return _BEHIND
        return None if _close(result, run(dict(changed, weight=layer.weight))) else _INSIDE


def _close(x: Tensor, y: Tensor) -> bool:
    return bool((x - y).abs().max() <= 1e-3 * y.abs().max())


def _acts_on_last_dimension(layer: nn.Module, x: Tensor) -> bool:
    """Whether a layer or norm does, told by what it gives: classes derived from LayerNorm may norm dimension 1."""
    if not isinstance(layer, nn.LayerNorm):
        return isinstance(layer, nn.Linear)
    with torch.no_grad():
        return torch.allclose(layer(x), nn.LayerNorm.forward(layer, x), atol=1e-5)


@TUNINGS.register_module()
class SSF(TuningMethod):
    """A scale and a shift behind every linear layer, convolution and normalisation (Lian et al., 2022).

    Where a layer has no bias there is a scale only: a shift there could not be merged. What follows such a layer is a
    normalisation in most backbones, whose own shift does the same. A norm that has its activation inside gets them
    inside, in front of it; a convolution that standardises its weight, which no scale changes, gets none. The published
    code draws γ from N(1, 0.02²) and β from N(0, 0.02²); both start at the identity here.

    Args:
        backbone: the backbone to tune.
        lr_mult: factor on the learning rate of the scales and shifts.
    """

    acts_on = 'behind every layer and norm'
    changes_layers = True
    source = 'Lian et al., NeurIPS 2022'

    def __init__(self, backbone: nn.Module, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, lr_mult)
        anatomy = find_anatomy(backbone)
        used = set(anatomy.parameters)
        names = [
            name
            for name, module in backbone.named_modules()
            if f'{name}.weight' in used and (isinstance(module, (nn.Linear, nn.Conv2d)) or is_norm(module))
        ]
        calls, _, image, _ = probe(backbone, names)
        self.changes = nn.ModuleList()
        self._layers: list[_Layer] = []
        for name in names:
            if name in calls:
                layer = backbone.get_submodule(name)
                output = calls[name].output
                channels, on_last = layer.weight.shape[0], partial(_acts_on_last_dimension, layer, output)
                first = is_channels_first(output, channels, image, on_last) and output.shape[1] == channels
                dim = 1 if first else -1
                place = _where(layer, calls[name].source, dim)
                if place == _BEHIND:
                    self._add(backbone, f'{name}.weight', f'{name}.bias', dim)
                    self.hook_after(backbone, name, SSF._change, len(self.changes) - 1)
                elif place == _INSIDE:
                    self._substitute(backbone, name, name, f'{name}.weight')
        for branch in find_branches(backbone, anatomy):
            for weight in branch.weights:
                if not weight.called:
                    self._substitute(backbone, branch.name, weight.layer, weight.name)

    def _add(self, backbone: nn.Module, weight: str, bias: str, dim: int) -> bool:
        owner, _, attribute = bias.rpartition('.')
        shift = getattr(backbone.get_submodule(owner), attribute, None) is not None
        self.changes.append(ScaleShift(backbone.get_parameter(weight).shape[0], dim, shift))
        self._layers.append(_Layer(weight, bias if shift else None))
        return shift

    def _substitute(self, backbone: nn.Module, outer: str, layer: str, weight: str) -> None:
        attribute = weight[len(layer) + 1 :]
        path = layer[len(outer) + 1 :]
        places = dict(weight=Place(path, attribute))
        if self._add(backbone, weight, f'{layer}.{attribute.replace("weight", "bias")}', -1):
            places['bias'] = Place(path, attribute.replace('weight', 'bias'))
        self.hook_around(backbone, outer, SSF._run_changed, len(self.changes) - 1, places)

    def _change(self, i: int, layer: nn.Module, args, kwargs, output: Tensor) -> Tensor:
        return self.changes[i](output)

    def _run_changed(self, i: int, places: dict[str, Place], inner: Callable, module, *args, **kwargs) -> Any:
        own = own_tensors(module, places)
        changed = self.changes[i].of(own['weight'], own.get('bias'))
        return inner(with_tensors(module, places, changed), *args, **kwargs)

    def merge(self, backbone: nn.Module) -> None:
        with torch.no_grad():
            for layer, change in zip(self._layers, self.changes):
                weight = backbone.get_parameter(layer.weight)
                bias = backbone.get_parameter(layer.bias) if layer.bias else None
                new = change.of(weight, bias)
                weight.copy_(new['weight'])
                if bias is not None:
                    bias.copy_(new['bias'])
