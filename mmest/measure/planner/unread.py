"""Steps whose memory is looked at and whose results are not."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten


class UnreadGradients(TorchDispatchMode):
    """Within it, gradients of matrices and convolutions are zeros: two thirds of the time of a head's small step.

    Args:
        backward: whether a backward pass runs.
    """

    def __init__(self, backward: Callable[[], bool]) -> None:
        super().__init__()
        self._backward = backward

    def __torch_dispatch__(self, func, types, args=(), kwargs=None) -> Any:
        if func is _aten.mm.default and self._backward():
            return args[0].new_zeros(args[0].shape[0], args[1].shape[1])
        if func is _aten.convolution_backward.default and self._backward():
            return _gradients_of_a_convolution(*args[:4], wanted=args[-1])
        return func(*args, **kwargs or {})


def _gradients_of_a_convolution(
    gradient: Tensor, x: Tensor, weight: Tensor, bias_sizes: list[int] | None, wanted: list[bool]
) -> tuple[Tensor | None, ...]:
    made = (
        lambda: torch.zeros_like(x),
        lambda: torch.zeros_like(weight),
        lambda: gradient.new_zeros(bias_sizes),
    )
    return tuple(make() if is_wanted else None for make, is_wanted in zip(made, wanted))


@contextmanager
def coarse_samples(model: nn.Module) -> Iterator[None]:
    """Each cell of a region of interest is sampled once, where its size would decide how often: the features that a
    head gets have their shape whatever they are, and sampling takes much of the time of a small step.
    """
    adaptive = [module for module in model.modules() if getattr(module, 'sampling_ratio', None) == 0]
    for module in adaptive:
        module.sampling_ratio = 1
    try:
        yield
    finally:
        for module in adaptive:
            module.sampling_ratio = 0
