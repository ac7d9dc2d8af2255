"""The order in which the modules of a backbone run, which is not always the one in which it lists them."""

from torch import nn

from mmest.anatomy.blocks import Anatomy
from mmest.anatomy.probe import probe


def blocks_before(backbone: nn.Module, anatomy: Anatomy) -> dict[str, int]:
    """By the name of each module that runs once and lies neither in nor around a block: how many blocks run before it.

    ConvNeXt, for one, lists all of its downsampling layers in front of its stages.
    """
    blocks = [f'{block.name}.' for block in anatomy.blocks]
    calls = probe(backbone, [name for name, _ in backbone.named_modules() if name]).calls
    found, done = {}, 0
    for name, call in calls.items():
        if f'{name}.' in blocks:
            done += 1
        elif call.times == 1 and not any(
            f'{name}.'.startswith(block) or block.startswith(f'{name}.') for block in blocks
        ):
            found[name] = done
    return found
