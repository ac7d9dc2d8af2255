"""A module that keeps its inputs alone, and runs again in the backward pass."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call


def run_again(module: nn.Module, *inputs: Tensor | None) -> Tensor:
    """``module(*inputs)``, of which only the inputs are kept for the backward pass, where the module runs again
    (activation recomputation; Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016).

    torch's own checkpoint takes modules of any kind, but hands every tensor inside to Python twice, which beside small
    operators costs as much as running them. There is no second derivative.

    Args:
        module: in which nothing is random and no buffer changes.
        inputs: of the module, tensors or None.
    """
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    return _RunAgain.apply(module, list(trained), *inputs, *trained.values())


def _precision(device: str) -> AbstractContextManager:
    """The mixed precision that is on, to be had again later; the meta device has none."""
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
    def forward(ctx: Any, module: nn.Module, names: list[str], *tensors: Tensor | None) -> Tensor:
        first = len(tensors) - len(names)
        inputs, parameters = tensors[:first], tensors[first:]
        ctx.module, ctx.parameters = module, dict(zip(names, parameters))
        ctx.precision = _precision(next(x for x in tensors if x is not None).device.type)
        ctx.save_for_backward(*inputs)
        return module(*inputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        needed = ctx.needs_input_grad[2:]
        # Not the parameters themselves, whose hooks would run here and once more when autograd adds the gradients up.
        parameters = {name: p.detach().requires_grad_() for name, p in ctx.parameters.items()}
        inputs = [x if x is None else x.detach().requires_grad_(wanted) for x, wanted in zip(ctx.saved_tensors, needed)]
        with torch.enable_grad(), ctx.precision:
            result = functional_call(ctx.module, parameters, tuple(inputs))
        wanted = [x for x, is_wanted in zip((*inputs, *parameters.values()), needed) if is_wanted]
        found = iter(torch.autograd.grad(result, wanted, gradient, allow_unused=True))
        return None, None, *(next(found) if is_wanted else None for is_wanted in needed)
