"""Heads that cannot take one image in a step."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

NEEDS_TWO = 'The head pools each image to one pixel, and a batch norm behind that needs two: take --batch-size 2.'


def lone_values(error: BaseException) -> bool:
    """Whether an error is of a norm over a batch of one image whose map is one pixel, as UPerHead and ASPP pool it."""
    return str(error).startswith('Expected more than 1 value per channel when training')


@contextmanager
def explaining_batches_of_one() -> Iterator[None]:
    """Put around a step: what a head cannot do with one image is said with the option that mends it.

    Raises:
        ValueError: the head norms over a batch of one image that it pools to one pixel, as UPerHead does.
    """
    try:
        yield
    except ValueError as error:
        if lone_values(error):
            raise ValueError(NEEDS_TWO) from error
        raise


@contextmanager
def norms_of_one_pixel(model: nn.Module) -> Iterator[list[nn.Module]]:
    """Put around a step of several images: the batch norms that train on one pixel of each, and so need several, are
    in the list afterwards.
    """
    found: list[nn.Module] = []

    def look(norm: nn.Module, args: tuple) -> None:
        if norm.training and args[0].shape[2:].numel() == 1:
            found.append(norm)

    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
