"""Frozen layers that nothing has given weights, and what a backbone computes by them."""

from collections.abc import Container, Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from mmest.anatomy.probe import probe_shapes
from mmest.anatomy.taps import Tap
from mmest.backbones.given_weights import is_constant
from mmest.checkpoints.compiled_names import plain_name
from mmest.random_numbers import untouched_random_numbers

_LAYERS = (nn.Linear, _ConvNd, nn.MultiheadAttention)


class Readable(Protocol):
    """What is asked of a tuned backbone here."""

    backbone: nn.Module
    training: bool

    def read(self, x: Tensor) -> tuple[list[Tensor], list[Tap]]: ...

    def train(self, mode: bool = True) -> Any: ...


def find_random_layer(tuned: Readable, given: Container[str]) -> str | None:
    """The name of a random frozen weight that the maps of a backbone depend on; None if there is none.

    Files may lack tables of positions, tokens and vectors (norms of outputs), and layers that start as constants or
    that no map depends on (a classifier; what a layer of zeros follows): these are not looked for.

    Args:
        tuned: the tuned backbone; all is left as it was.
        given: plain names of the weights that a file or a checkpoint gave.
    """
    names = list(_random_weights(tuned.backbone, given))
    if not names:
        return None
    mode = tuned.training
    tuned.train(False)
    try:
        with torch.no_grad(), untouched_random_numbers():
            return _first_with_effect(names, tuned)
    finally:
        tuned.train(mode)


def _random_weights(backbone: nn.Module, given: Container[str]) -> Iterator[str]:
    for path, module in backbone.named_modules():
        for attribute, p in module.named_parameters(recurse=False) if isinstance(module, _LAYERS) else ():
            name = f'{path}.{attribute}' if path else attribute
            if p.ndim > 1 and not p.requires_grad and plain_name(name) not in given and not is_constant(p):
                yield name


def _first_with_effect(names: list[str], tuned: Readable) -> str | None:
    """The first of the weights with which the maps, or the taps, of an image of noise change as its sign does."""
    numbers = [p for p in tuned.backbone.parameters() if p.is_floating_point()]
    like = max(numbers, key=lambda p: torch.finfo(p.dtype).bits)  # frozen_dtype keeps matrices in less
    for shape in probe_shapes(tuned.backbone):
        image = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)).to(like)
        try:
            before = _seen(tuned, image)
        except Exception:  # the backbone's own complaint about this size; the next one may fit
            continue
        return next((name for name in names if _has_effect(tuned, name, image, before)), None)
    return None


def _has_effect(tuned: Readable, name: str, image: Tensor, before: list[Tensor]) -> bool:
    weight = tuned.backbone.get_parameter(name).data
    weight.neg_()
    try:
        return not all(torch.equal(x, y) for x, y in zip(before, _seen(tuned, image)))
    finally:
        weight.neg_()


def _seen(tuned: Readable, image: Tensor) -> list[Tensor]:
    features, taps = tuned.read(image)
    return [*features, *(tap.feature for tap in taps)]
