"""Computing with other tensors than a layer's own parameters, for layers whose weight is used without calling them.

``nn.MultiheadAttention`` and BEiT's attention read the weights of layers that they never call, so no hook of these
layers sees their input. Parametrizations would rename the parameters, and putting tensors in their place for a while
would change them for all threads.
"""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn


class Place(NamedTuple):
    """A parameter below a module: the path of its owner from there, and its name in the owner."""

    path: str
    name: str


def _twin(module: nn.Module) -> nn.Module:
    """A module that shares all with another, except that its parameters and children can be exchanged."""
    twin = module.__new__(type(module))
    twin.__dict__.update(module.__dict__, _parameters=dict(module._parameters), _modules=dict(module._modules))
    return twin


def own_tensors(module: nn.Module, places: Mapping[str, Place]) -> dict[str, Tensor | None]:
    """The parameters at some places below a module."""
    return {key: module.get_submodule(place.path)._parameters[place.name] for key, place in places.items()}


def with_tensors(module: nn.Module, places: Mapping[str, Place], tensors: Mapping[str, Tensor | None]) -> nn.Module:
    """A stand-in for a module that computes with other tensors at some places and shares all else with it."""
    twins = {'': _twin(module)}
    for key, place in places.items():
        path = ''
        for part in place.path.split('.') if place.path else []:
            outer, path = path, f'{path}.{part}' if path else part
            if path not in twins:
                twins[path] = twins[outer]._modules[part] = _twin(twins[outer]._modules[part])
        twins[path]._parameters[place.name] = tensors[key]
    return twins['']
