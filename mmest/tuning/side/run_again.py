"""A module that keeps its inputs alone, and runs again in the backward pass."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def run_again(module: nn.Module, fixed: Tensor, state: Tensor | None) -> Tensor:
    """``module(fixed, state)``, of which only these two are kept for the backward pass, where the module runs again
    (activation recomputation; Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016).

    torch's own checkpoint takes modules of any kind, but hands every tensor inside to Python twice, which beside small
    operators costs as much as running them.

    Args:
        module: in which nothing is random.
        fixed: an input that gets no gradient.
        state: one that does, or None.
    """
    return _RunAgain.apply(module, fixed, state, *_trained(module))


def _trained(module: nn.Module) -> list[nn.Parameter]:
    return [p for p in module.parameters() if p.requires_grad]


def _precision(device: str) -> AbstractContextManager:
    """The mixed precision that is on, to be had again later; fake devices have none."""
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(
        device,
        enabled=torch.is_autocast_enabled(device),
        dtype=torch.get_autocast_dtype(device),
        cache_enabled=torch.is_autocast_cache_enabled(),
    )


class _RunAgain(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, module: nn.Module, fixed: Tensor, state: Tensor | None, *trained: Tensor) -> Tensor:
        ctx.module, ctx.precision = module, _precision(fixed.device.type)
        ctx.save_for_backward(fixed, state)
        return module(fixed, state)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        fixed, state = ctx.saved_tensors
        wanted: list[Tensor] = _trained(ctx.module)
        before: tuple[None, ...] = (None, None)
        if ctx.needs_input_grad[2]:
            state = state.detach().requires_grad_()
            wanted = [state, *wanted]
        else:
            before = (*before, None)
        with torch.enable_grad(), ctx.precision:
            result = ctx.module(fixed, state)
        return *before, *torch.autograd.grad(result, wanted, gradient)
