"""A step whose results nobody reads needs the memory of any other."""

import gc
from contextlib import nullcontext

import pytest
import torch
from mmcv.ops import RoIAlign
from torch import nn

from mmest.measure.garbage import only_new_garbage
from mmest.measure.memory.live import LiveTensorCounter
from mmest.measure.planner.unread import UnreadGradients, coarse_samples


def moments(bias: bool, memory_format: torch.memory_format, mode) -> tuple[list, list]:
    """Operators and live bytes, one by one, and gradients, of convolutions, one of them grouped, and a linear layer."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=bias),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=2, bias=bias),
        nn.Flatten(),
        nn.Linear(8 * 6 * 5, 3, bias=bias),
    ).to(memory_format=memory_format)
    x = torch.rand(2, 4, 16, 14).to(memory_format=memory_format).requires_grad_()
    seen, counter = [], LiveTensorCounter()
    counter.after_operator = lambda: seen.append((counter.operator, counter.total))
    with mode, counter:
        net(x).square().sum().backward()
    return seen, [x.grad, *(p.grad for p in net.parameters())]


@pytest.mark.parametrize('bias', [False, True])
@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
def test_the_memory_of_a_backward_pass_is_that_of_a_real_one(bias, memory_format):
    wanted, gradients = moments(bias, memory_format, nullcontext())
    found, zeros = moments(bias, memory_format, UnreadGradients(lambda: True))
    assert found == wanted and any(name == 'aten.convolution_backward.default' for name, _ in found)
    assert [(one.shape, one.stride(), one.dtype) for one in zeros] == [
        (one.shape, one.stride(), one.dtype) for one in gradients
    ]
    assert not zeros[0].any() and gradients[0].any()


def test_a_forward_pass_is_left_alone():
    a, b = torch.rand(3, 4), torch.rand(4, 2)
    with UnreadGradients(lambda: False):
        assert torch.equal(a @ b, torch.mm(a, b)) and (a @ b).any()


def test_regions_are_sampled_once_for_as_long():
    head = nn.ModuleList([RoIAlign(7, sampling_ratio=0), RoIAlign(7, sampling_ratio=2)])
    x, boxes = torch.rand(1, 2, 32, 32), torch.tensor([[0.0, 1.0, 1.0, 30.0, 28.0]])
    wanted = [one(x, boxes) for one in head]
    with coarse_samples(head):
        assert [one.sampling_ratio for one in head] == [1, 2]
        found = [one(x, boxes) for one in head]
    assert found[0].shape == wanted[0].shape and not torch.equal(found[0], wanted[0])
    assert torch.equal(found[1], wanted[1]) and torch.equal(head[0](x, boxes), wanted[0])


def test_collections_leave_out_what_is_there():
    gc.collect()
    gc.unfreeze()  # of these tests
    try:
        with only_new_garbage():
            left_out = gc.get_freeze_count()
            made = [[] for _ in range(10_000)]
            # Some of what is left out may end at any time, by whatever else the process does.
            with only_new_garbage():
                assert abs(gc.get_freeze_count() - left_out) < len(made) // 2
            assert abs(gc.get_freeze_count() - left_out) < len(made) // 2 < left_out
        assert gc.get_freeze_count() == 0
    finally:
        gc.freeze()
