"""A depthwise convolution whose backward pass is fast on a CPU."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.amp import custom_bwd, custom_fwd


class DepthwiseConv2d(nn.Conv2d):
    """A convolution of each channel by itself: stride 1, zero padding, outputs as large as inputs.

    On a CPU torch is slow at the gradient of the kernel, which is a convolution too; elsewhere this is ``nn.Conv2d``.

    Args:
        channels: of input and output.
        kernel_size: odd.
        bias: whether one is added.
    """

    def __init__(self, channels: int, kernel_size: int, bias: bool = True) -> None:
        super().__init__(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """B×C×H×W to the same."""
        if x.device.type == 'cpu' and torch.is_grad_enabled():
            return _Convolution.apply(x, self.weight, self.bias)
        return super().forward(x)


class _Convolution(torch.autograd.Function):
    @staticmethod
    @custom_fwd(device_type='cpu')
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _convolve(x, weight, bias)

    @staticmethod
    @custom_bwd(device_type='cpu')
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        return depthwise_gradients(x, gradient, weight, ctx.needs_input_grad)


def depthwise_gradients(
    x: Tensor, gradient: Tensor, weight: Tensor, wanted: Sequence[bool] = (True, True, True)
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of input, kernel and bias of a :class:`DepthwiseConv2d`, those that are wanted.

    Args:
        x: what it took in, B×C×H×W.
        gradient: of its result, of that shape.
        weight: its kernel, C×1×k×k.
    """
    if x.device.type != 'cpu':
        around, channels = weight.shape[-1] // 2, len(weight)
        return torch.ops.aten.convolution_backward(
            gradient, x, weight, [channels], [1, 1], [around] * 2, [1, 1], False, [0, 0], channels, list(wanted)
        )
    of_x, of_weight, of_bias = wanted
    return (
        # With stride 1 and an odd kernel, the convolution with the kernel turned round.
        _convolve(gradient, weight.flip(2, 3)) if of_x else None,
        _kernel_gradient(x, gradient, weight) if of_weight else None,
        gradient.sum((0, 2, 3)) if of_bias else None,
    )


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2, groups=len(weight))


def _kernel_gradient(x: Tensor, gradient: Tensor, weight: Tensor) -> Tensor:
    """Each channel of each image, convolved with its gradient as if that were the kernel, and summed over images."""
    images, channels = x.shape[:2]
    padded = F.pad(x, (weight.shape[-1] // 2,) * 4).flatten(0, 1)[None]
    of_image = F.conv2d(padded, gradient.flatten(0, 1)[:, None], groups=images * channels)
    return of_image.view(images, *weight.shape).sum(0)
