"""How much each block of a backbone keeps for its backward pass."""

from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from mmest.anatomy.probe import probe


def bytes_kept(backbone: nn.Module, names: Sequence[str]) -> dict[str, int]:
    """What each of these modules keeps for backward where all of the backbone trains, for one image of the probe's
    size, in the order of the names; weights, which are there anyway, do not count.
    """
    # By identity, not by address: on the meta device all addresses are 0.
    weights = {id(p.untyped_storage()) for p in backbone.parameters()}
    kept: dict[str, dict[int, int]] = {name: {} for name in names}
    running: str | None = None

    def start(*_) -> None:  # the probe tries another size where one fails
        nonlocal running
        running = None
        for storages in kept.values():
            storages.clear()

    def enter(name: str, *_) -> None:
        nonlocal running
        running = name

    def leave(*_) -> None:
        nonlocal running
        running = None

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if running is not None and id(storage) not in weights:
            kept[running][id(storage)] = storage.nbytes()
        return tensor

    handles = [backbone.register_forward_pre_hook(start)]
    for name in names:
        module = backbone.get_submodule(name)
        handles.append(module.register_forward_pre_hook(partial(enter, name)))
        handles.append(module.register_forward_hook(leave))
    try:
        with saved_tensors_hooks(keep, lambda tensor: tensor):
            probe(backbone, [])
    finally:
        for handle in handles:
            handle.remove()
    return {name: sum(storages.values()) for name, storages in kept.items()}
