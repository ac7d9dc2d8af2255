"""How much each block of a backbone keeps for its backward pass."""

from functools import partial

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from mmest.anatomy.probe import probe


def bytes_kept(backbone: nn.Module, names: list[str]) -> dict[str, int]:
    """What each of these modules keeps for backward where all of the backbone trains, for one image of the probe's
    size; weights, which are there anyway, do not count.
    """
    weights = {p.untyped_storage().data_ptr() for p in backbone.parameters()}
    kept: dict[str, dict[int, int]] = {}
    running: list[str] = []

    def enter(name: str, module: nn.Module, args) -> None:
        kept[name] = {}
        running[:] = [name]  # whatever a pass that failed has left there

    def leave(module: nn.Module, args, output) -> None:
        running.clear()

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if running and storage.data_ptr() not in weights:
            kept[running[0]][storage.data_ptr()] = storage.nbytes()
        return tensor

    handles = []
    for name in names:
        module = backbone.get_submodule(name)
        handles += [
            module.register_forward_pre_hook(partial(enter, name)),
            module.register_forward_hook(leave),
        ]
    try:
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            probe(backbone, [])
    finally:
        for handle in handles:
            handle.remove()
    return {name: sum(storages.values()) for name, storages in kept.items()}
