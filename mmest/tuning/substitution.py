"""Computing with other tensors than a layer's own parameters, for layers whose weight is used without calling them."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn


class Place(NamedTuple):
    """A parameter below a module: the path of its owner from there, and its name in the owner."""

    path: str
    name: str


class Substitution:
    """Puts computed tensors in the place of parameters while a module runs.

    ``nn.MultiheadAttention`` and BEiT's attention read the weights of layers that they never call, so no hook of these
    layers sees their input. Parametrizations would rename the parameters.

    Args:
        module: the module whose forward pass uses the parameters.
        places: what to replace.
        compute: gives the new tensors from the parameters, by place; called at each forward pass. It must be a bound
            method or a partial of one, so that a deep copy of the model calls its own.
    """

    def __init__(
        self,
        module: nn.Module,
        places: dict[str, Place],
        compute: Callable[[dict[str, Tensor | None]], dict[str, Tensor | None]],
    ) -> None:
        self.places = places
        self.compute = compute
        self._own: dict[str, nn.Parameter | None] = {}
        module.register_forward_pre_hook(partial(_enter, self))
        module.register_forward_hook(partial(_leave, self), always_call=True)


def _owner(module: nn.Module, place: Place) -> dict[str, Tensor | None]:
    return module.get_submodule(place.path)._parameters


def _enter(substitution: Substitution, module, args) -> None:
    own = {key: _owner(module, place)[place.name] for key, place in substitution.places.items()}
    new = substitution.compute(own)
    substitution._own = own
    for key, place in substitution.places.items():
        _owner(module, place)[place.name] = new[key]


def _leave(substitution: Substitution, module, args, output) -> None:
    for key, value in substitution._own.items():
        place = substitution.places[key]
        _owner(module, place)[place.name] = value
    substitution._own = {}
