"""A frozen backbone of which each of several processes keeps a part: torch's FSDP."""

from collections import Counter
from collections.abc import Set
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh

from mmest.anatomy.lists import find_block_names


def own_part(tensor: Tensor) -> Tensor:
    """What this process keeps of a tensor: all of it, where it is not sharded."""
    return tensor.to_local() if hasattr(tensor, 'to_local') else tensor


def shard_blocks(backbone: nn.Module, names: Set[str]) -> int:
    """Spread parameters of a backbone's blocks over all processes, in place. A block is whole in each of them while it
    runs; all processes have to run the backbone equally often.

    Args:
        backbone: frozen, on its device, with the same weights in every process.
        names: of the parameters that may be spread.

    Returns:
        How many were.
    """
    from torch.distributed.fsdp import fully_shard  # not in every torch that mmest runs with

    places = Counter(id(p) for _, p in backbone.named_parameters(remove_duplicate=False))
    spread = {p for name, p in backbone.named_parameters() if name in names and p.ndim and places[id(p)] == 1}
    blocks = [backbone.get_submodule(name) for name in find_block_names(backbone)]
    inside = {p for block in blocks for p in block.parameters()} & spread
    if not inside:
        return 0
    mesh = init_device_mesh(next(iter(inside)).device.type, (dist.get_world_size(),))
    whole = {p for p in backbone.parameters() if p not in inside}
    name = type(backbone).__name__
    for module in (*blocks, backbone):  # the backbone last, so that a block is fetched while the one before it runs
        fully_shard(module, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
    type(backbone).__name__ = name  # messages and checkpoints name the backbone by its class
    return len(inside)


def gather_blocks(backbone: nn.Module) -> None:
    """Have every process keep all of the blocks, so that each may run the backbone by itself."""
    for block in _sharded(backbone):
        block.set_reshard_after_forward(False, recurse=False)
        block.unshard()


def part_blocks(backbone: nn.Module) -> None:
    """Undo :func:`gather_blocks`."""
    for block in _sharded(backbone):
        block.set_reshard_after_forward(True, recurse=False)
        block.reshard()


def _sharded(backbone: nn.Module) -> list[Any]:
    return [module for module in backbone.modules() if module is not backbone and hasattr(module, 'unshard')]
