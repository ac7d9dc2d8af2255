"""Parts of a model that keep their inputs alone, and run again in the backward pass."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmest.anatomy.again import run_again_in_backward
from mmest.anatomy.hooks import override


def recomputed(module: nn.Module, function: Callable, *args: Any, **kwargs: Any) -> Any:
    """``function(*args, **kwargs)``, of which backward keeps the arguments alone.

    Args:
        module: all modules that the function runs; the statistics of BatchNorm take in a batch once.
        function: of tensors and other values.
        args, kwargs: its arguments.
    """
    if not torch.is_grad_enabled():
        return function(*args, **kwargs)
    return run_again_in_backward(
        function, args, kwargs, context_fn=lambda: (nullcontext(), _statistics_at_rest(module))
    )


def recompute(module: nn.Module, name: str = 'forward') -> None:
    """Have a method of a module be :func:`recomputed` from now on."""
    override(module, name, _run)


def _run(inner: Callable, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    return recomputed(module, partial(inner, module), *args, **kwargs)


def gathering(module: nn.Module) -> list[_BatchNorm]:
    """The batch norms of a module that gather statistics."""
    return [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]


@contextmanager
def _statistics_at_rest(module: nn.Module) -> Iterator[None]:
    norms = gathering(module)
    before = [(norm.momentum, norm._buffers['num_batches_tracked']) for norm in norms]
    for norm, (_, batches) in zip(norms, before):
        # What the batch adds to the statistics is nothing; without statistics backward would keep other tensors.
        norm.momentum = 0.0
        norm._buffers['num_batches_tracked'] = None if batches is None else batches.clone()
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before):
            norm.momentum, norm._buffers['num_batches_tracked'] = momentum, batches
