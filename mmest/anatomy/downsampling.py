"""The layers of a backbone that carry features from one stage to the next."""

from torch import Tensor, nn

from mmest.anatomy.blocks import Anatomy, Block
from mmest.anatomy.probe import probe


def _is_map_of(block: Block, x: Tensor | None) -> bool:
    """Whether a tensor has the shape of a block's output, in any layout."""
    c, (h, w) = block.channels, block.size
    return x is not None and tuple(x.shape[1:]) in ((c, h, w), (h, w, c), (h * w, c))


def find_downsampling(backbone: nn.Module, anatomy: Anatomy) -> dict[int, str]:
    """By the index of each block that starts a stage other than the first: the module that turns the last stage's map
    into one of the new stage's shape, such as patch merging, patch embedding or the projection in a ResNet's shortcut.

    Stages without such a module are left out.
    """
    blocks = anatomy.blocks
    names = [name for name, _ in backbone.named_modules() if name]
    calls = probe(backbone, names).calls
    order = {name: i for i, name in enumerate(calls)}
    found: dict[int, str] = {}
    for i in range(1, len(blocks)):
        before, after = blocks[i - 1], blocks[i]
        if before.stage == after.stage:
            continue
        fitting = [
            name
            for name, call in calls.items()
            if order[before.name] < order[name] <= order[after.name]
            and call.times == 1
            and _is_map_of(before, call.source)
            and _is_map_of(after, call.output)
            and not any(f'{block.name}.'.startswith(f'{name}.') for block in blocks)
        ]
        if fitting:  # the outermost, and of a block's branch and shortcut the shortcut
            found[i] = min(
                fitting,
                key=lambda name: (name.count('.'), sum(p.numel() for p in backbone.get_submodule(name).parameters())),
            )
    return found
