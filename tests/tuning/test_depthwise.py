"""The depthwise convolution against torch's own."""

import pytest
import torch
from torch import nn

from mmest.tuning.depthwise import DepthwiseConv2d


def _pair(channels: int, kernel_size: int, bias: bool) -> tuple[DepthwiseConv2d, nn.Conv2d]:
    ours = DepthwiseConv2d(channels, kernel_size, bias)
    theirs = nn.Conv2d(channels, channels, kernel_size, padding=kernel_size // 2, groups=channels, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def _run(module: nn.Module, x: torch.Tensor, by: torch.Tensor) -> list[torch.Tensor]:
    """Output and gradients: of the input, of the kernel, and of the bias where there is one."""
    x = x.clone(memory_format=torch.preserve_format).requires_grad_()
    out = module(x)
    (out * by).sum().backward()
    return [out.detach(), x.grad, *(p.grad for p in module.parameters())]


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('images, channels, size', [(1, 5, (7, 9)), (3, 16, (20, 12)), (2, 8, (2, 1))])
@pytest.mark.parametrize('kernel_size, bias', [(1, True), (3, False), (7, True)])
def test_output_and_gradients_are_those_of_torch(images, channels, size, kernel_size, bias, memory_format):
    ours, theirs = _pair(channels, kernel_size, bias)
    x, by = torch.randn(2, images, channels, *size).unbind()
    x, by = x.to(memory_format=memory_format), by.to(memory_format=memory_format)
    for a, b in zip(_run(ours, x, by), _run(theirs, x, by), strict=True):
        # A gradient of the kernel is a sum over all positions, which may all but cancel.
        torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-6 * max(5, b.abs().max().item()))


def test_gradients_are_right_in_double_precision():
    ours, _ = _pair(3, 3, True)
    ours.double()
    x = torch.randn(2, 3, 4, 5, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(ours, (x,))


def test_gradients_under_autocast_are_those_of_torch():
    ours, theirs = _pair(8, 7, True)
    x, by = torch.randn(2, 2, 8, 12, 12).unbind()
    results = []
    for module in (ours, theirs):
        with torch.autocast('cpu', torch.bfloat16):
            results.append(_run(module, x, by))
    assert results[0][0].dtype == torch.bfloat16
    for a, b in zip(*results, strict=True):
        assert a.dtype == b.dtype
        assert (a - b).norm() < 0.02 * b.norm()


def test_what_does_not_train_gets_no_gradient():
    ours, _ = _pair(4, 3, True)
    ours.weight.requires_grad_(False)
    ours(torch.randn(1, 4, 6, 6)).sum().backward()  # whose input asks for none
    assert ours.weight.grad is None
    torch.testing.assert_close(ours.bias.grad, torch.full((4,), 36.0))
