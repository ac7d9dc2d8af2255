"""Weights that are not numbers are found where they come from, not in the loss that they spoil."""

from collections.abc import Container
from itertools import chain

from torch import nn

from mmest.checkpoints.compiled_names import plain_name

_OF_A_FILE = 'it is damaged, or the training that wrote it had diverged. Take another file.'


def refuse_not_finite(module: nn.Module, names: Container[str], source: str, why: str = _OF_A_FILE) -> None:
    """Stop where one of the named parameters and buffers holds what is not finite. Infinite buffers may be masks.

    Args:
        module: the module.
        names: of the parameters and buffers to look at, as the module or as files have them.
        source: where they come from.
        why: what the sentence ends with: the cause, and what can be done.

    Raises:
        ValueError: names the source, and the first of them.
    """
    parameters = dict(module.named_parameters())
    for name, tensor in chain(parameters.items(), module.named_buffers()):
        if (name in names or plain_name(name) in names) and tensor.is_floating_point():
            sound = tensor.isfinite() if name in parameters else ~tensor.isnan()
            if not bool(sound.all()):
                raise ValueError(f'{source} holds values that are no finite numbers, first in {name}: {why}')
