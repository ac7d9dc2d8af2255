"""Frozen batch normalisation in a graph, without what only its own gradients would need."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from mmest.anatomy.plain import is_plain


def normed_by_constants(inner: Callable, module: nn.Module, x: Tensor) -> Tensor:
    """What ``inner(module, x)`` gives, for an override of a batch norm's forward method.

    In eval mode a batch norm is a factor and a shift per channel. torch keeps its input all the same, for gradients of
    gain and bias, also where these are frozen; here nothing but the layer's own tensors is kept.
    """
    if module.training or not torch.is_grad_enabled() or not x.requires_grad or _learns(module):
        return inner(module, x)
    return _Norm.apply(x, module, inner)


def is_frozen_norm(module: nn.Module) -> bool:
    """Whether a module is a batch norm, with nothing behind it, of which nothing trains."""
    known = isinstance(module, _BatchNorm) and is_plain(module) and module.running_var is not None
    return known and not _learns(module)


def _learns(module: nn.Module) -> bool:
    return any(p is not None and p.requires_grad for p in (module.weight, module.bias))


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, module: nn.Module, inner: Callable) -> Tensor:
        ctx.eps = module.eps
        ctx.save_for_backward(module.running_var, module.weight)
        return inner(module, x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        variance, gain = ctx.saved_tensors
        factor = (variance + ctx.eps).rsqrt()
        if gain is not None:
            factor = factor * gain
        shape = (-1, *(1,) * (gradient.dim() - 2))
        return gradient * factor.view(shape).to(gradient.dtype), None, None
