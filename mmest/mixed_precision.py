"""Training in mixed precision: mmcv's operators in it, and an optimizer wrapper for bfloat16 on any device."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import Tensor, nn
from torch.autograd import Function


def is_mixed(device_type: str) -> bool:
    """Whether autocast is on for a type of device; some, as the meta device, have none."""
    return torch.amp.is_autocast_available(device_type) and torch.is_autocast_enabled(device_type)


def without_autocast(device_type: str) -> AbstractContextManager:
    """What runs within computes in the precision of its inputs."""
    available = torch.amp.is_autocast_available(device_type)
    return torch.autocast(device_type, enabled=False) if available else nullcontext()


def operators_in_fp32() -> None:
    """Have the operators that mmcv compiles (RoIAlign, focal loss, NMS, deformable convolution, ...) take float32 under
    autocast, as their kernels know no bfloat16, on a CPU no float16 either. Outside of autocast nothing changes.
    """
    try:
        importlib.import_module('mmcv.ops')
    except ImportError:  # a model without them
        return
    for name, module in list(sys.modules.items()):
        if name.startswith('mmcv.ops.'):
            for operator in vars(module).values():
                if isinstance(operator, type) and issubclass(operator, Function) and operator.__module__ == name:
                    _take_fp32(operator)


def _take_fp32(operator: type[Function]) -> None:
    if hasattr(operator, 'takes_fp32'):
        return
    forward, backward = operator.forward, operator.backward

    def forward_in_fp32(ctx, *inputs):
        half = next((x for x in inputs if _is_half(x)), None)
        if half is None or not torch.is_autocast_enabled(half.device.type):
            return forward(ctx, *inputs)
        ctx.in_fp32 = True
        with torch.autocast(half.device.type, enabled=False):
            outputs = forward(ctx, *(x.float() if _is_half(x) else x for x in inputs))
        # What makes maps of maps gives them the dtype that the callers keep theirs in; losses stay exact.
        maps = half.ndim == 4 and isinstance(outputs, Tensor) and outputs.ndim == 4
        return outputs.to(half.dtype) if maps else outputs

    def backward_in_fp32(ctx, *gradients):
        in_fp32 = getattr(ctx, 'in_fp32', False)
        return backward(ctx, *(g.float() if in_fp32 and _is_half(g) else g for g in gradients))

    operator.forward, operator.backward = staticmethod(forward_in_fp32), staticmethod(backward_in_fp32)
    operator.takes_fp32 = True


def _is_half(x: object) -> bool:
    return isinstance(x, Tensor) and x.dtype in (torch.float16, torch.bfloat16)


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """Mixed precision in bfloat16, whose range is that of float32: the loss is not scaled, and a CPU will do."""

    cast_dtype = torch.bfloat16

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The forward pass of ``model`` under autocast."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, self.cast_dtype):
            yield
