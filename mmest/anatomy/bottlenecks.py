"""Where a bottleneck block is narrow."""

from dataclasses import replace

from torch import nn

from mmest.anatomy.blocks import Anatomy, Block
from mmest.anatomy.graph import walk_back
from mmest.anatomy.probe import probe


def narrow_blocks(backbone: nn.Module, anatomy: Anatomy) -> dict[int, Block]:
    """The bottlenecks among the blocks, by index, each as what goes into the 1×1 convolution that widens it: that has
    the block's resolution and half of its channels or fewer, a quarter in a ResNet.

    Runs one forward pass like :func:`mmest.anatomy.blocks.find_anatomy`, if there is anything to look for.
    """
    widening = {
        i: [
            f'{block.name}.{name}'
            for name, layer in backbone.get_submodule(block.name).named_modules()
            if isinstance(layer, nn.Conv2d)
            and max(layer.kernel_size) == 1
            and 2 * layer.in_channels <= block.channels == layer.out_channels
        ]
        for i, block in enumerate(anatomy.blocks)
    }
    names = [name for layers in widening.values() for name in layers]
    if not names:
        return {}
    calls = probe(backbone, [*names, *(block.name for block in anatomy.blocks)]).calls
    found = {}
    for i, block in enumerate(anatomy.blocks):
        for name in widening[i]:
            call = calls.get(name)
            if call is None or call.times > 1 or tuple(call.source.shape[2:]) != block.size:
                continue
            # A shortcut widens too, but the block's own input, which no parameter has changed.
            if walk_back(call.source_fn, (calls[block.name].source_fn,))[1]:
                channels = call.source.shape[1]
                found[i] = replace(block, channels=channels, read_before=name, channels_first=True, prefix_tokens=0)
                break  # what follows, such as attention, takes less from it
    return found
