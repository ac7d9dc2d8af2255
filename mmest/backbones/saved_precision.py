"""The precision in which maps wait for the backward pass."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


def saving(module: nn.Module, dtype: str | None) -> AbstractContextManager:
    """What a module's forward pass runs in, so that backward keeps float32 maps in half the bytes.

    The forward pass is as without; gradients are those of rounded maps. Weights are kept as they are.

    Args:
        module: whose weights these are.
        dtype: ``bf16``, or None: as they are.
    """
    if dtype is None or not torch.is_grad_enabled():
        return nullcontext()
    # The storage's Python object lives exactly as long as the storage, and fake tensors have one too.
    weights = {id(p.untyped_storage()) for p in module.parameters()}

    def pack(x: Tensor) -> tuple[Tensor, bool]:
        storage = x.untyped_storage()
        # Of a view of a larger map, or of a few values seen as many, a copy would add bytes.
        rounds = x.dtype == torch.float32 and id(storage) not in weights and 2 * x.numel() < storage.nbytes()
        # Without history: a saved result must not own its own graph.
        return (x.detach().bfloat16() if rounds else x.detach()), rounds

    def unpack(packed: tuple[Tensor, bool]) -> Tensor:
        x, rounded = packed
        return x.float() if rounded else x

    return saved_tensors_hooks(pack, unpack)
