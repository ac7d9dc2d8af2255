"""Modules that run again in the backward pass: what they compute, and what they keep."""

import pytest
import torch
from torch import Tensor, nn

from mmest.tuning.side.run_again import run_again


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.read, self.mix = nn.Linear(6, 4), nn.Linear(4, 4)

    def forward(self, fixed: Tensor, state: Tensor | None) -> Tensor:
        z = torch.tanh(self.read(fixed))
        return self.mix(z if state is None else z * state)


def inputs(with_state: bool) -> tuple[nn.Module, Tensor, Tensor | None]:
    torch.manual_seed(0)
    return Gated(), torch.randn(3, 6), torch.randn(3, 4, requires_grad=True) if with_state else None


def gradients(run, module, fixed, state, precision) -> list[Tensor | None]:
    with torch.autocast('cpu', torch.bfloat16, enabled=precision == 'bf16'):
        result = run(module, fixed, state)
    result.float().square().sum().backward()
    return [result, *(p.grad for p in module.parameters()), None if state is None else state.grad]


@pytest.mark.parametrize('precision', ['fp32', 'bf16'])
@pytest.mark.parametrize('with_state', [True, False])
def test_results_and_gradients_are_the_same_bits(with_state, precision):
    plain = gradients(lambda module, *args: module(*args), *inputs(with_state), precision)
    again = gradients(run_again, *inputs(with_state), precision)
    for a, b in zip(plain, again, strict=True):
        assert (a is b is None) or (a.dtype == b.dtype and torch.equal(a, b))


def test_what_does_not_train_gets_no_gradient():
    module, fixed, state = inputs(True)
    module.read.requires_grad_(False)
    run_again(module, fixed, state.detach()).sum().backward()
    assert module.read.weight.grad is None and module.mix.weight.grad is not None
    assert fixed.grad is None


def test_both_inputs_get_gradients_where_they_want_some():
    found = []
    for run in (lambda module, *args: module(*args), run_again):
        module, fixed, state = inputs(True)
        fixed.requires_grad_()
        run(module, fixed, state).square().sum().backward()
        found.append((fixed.grad, state.grad))
    assert all(torch.equal(a, b) for a, b in zip(*found))


def test_hooks_of_a_parameter_run_once():
    seen = []
    for run in (lambda module, *args: module(*args), run_again):
        module, fixed, state = inputs(True)
        module.read.weight.register_hook(lambda gradient: gradient / 2)
        run(module, fixed, state).sum().backward()
        seen.append(module.read.weight.grad)
    assert torch.equal(*seen)


def test_what_takes_no_part_gets_no_gradient():
    module, fixed, state = inputs(True)
    module.unused = nn.Parameter(torch.ones(3))
    run_again(module, fixed, state).sum().backward()
    assert module.unused.grad is None and module.read.weight.grad is not None


def test_what_stops_to_train_before_the_backward_pass_changes_nothing():
    module, fixed, state = inputs(True)
    result = run_again(module, fixed, state)
    module.read.requires_grad_(False)
    result.sum().backward()
    assert module.mix.weight.grad is not None and state.grad is not None


def test_it_keeps_its_inputs_alone():
    module, fixed, state = inputs(True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        run_again(module, fixed, state)
    assert len(kept) == 2 and kept[0] is fixed and kept[1] is state


def test_without_gradients_it_is_the_module():
    module, fixed, state = inputs(True)
    with torch.no_grad():
        assert torch.equal(run_again(module, fixed, state), module(fixed, state))
