"""The gradient of an EST Block by hand, against autograd's."""

import copy

import pytest
import torch
from torch import Tensor

from mmest.tuning.side.est import ESTBlock
from mmest.tuning.side.est_gradient import run_again

GATES = ('scalar', 'channel', 'dynamic')


def block(gate: str | None = 'dynamic', kernel_size: int = 5, ratios=(2, 4), dtype=torch.float64) -> ESTBlock:
    """Of random weights, which leave nothing at its start; the first of a network has no gate."""
    torch.manual_seed(0)
    made = ESTBlock(6, 8, gate is None, ratios, gate or 'dynamic', kernel_size).to(dtype)
    for p in made.parameters():
        torch.nn.init.normal_(p, std=0.5)
    return made


def inputs(of: ESTBlock, wants_h: bool = False) -> tuple[Tensor, Tensor | None]:
    dtype = of.reduce.weight.dtype
    h = torch.randn(3, 5, 4, 6, dtype=dtype, requires_grad=wants_h)
    return h, None if of.gate is None else torch.randn(3, 5, 4, 8, dtype=dtype, requires_grad=True)


def gradients(run, of: ESTBlock, h: Tensor, state: Tensor | None, mixed: torch.dtype | None = None) -> list:
    of, h = copy.deepcopy(of), h.detach().requires_grad_(h.requires_grad)
    state = None if state is None else state.detach().requires_grad_()
    with torch.autocast('cpu', mixed or torch.bfloat16, enabled=mixed is not None):
        result = run(of, h, state)
    (result.double() * torch.linspace(-1, 2, result.numel()).view(result.shape)).sum().backward()
    named = [(name, p.grad) for name, p in of.named_parameters()]
    return [('result', result), ('h', h.grad), ('state', None if state is None else state.grad), *named]


def plainly(of: ESTBlock, h: Tensor, state: Tensor | None) -> Tensor:
    return of(h, state)


def compare(of: ESTBlock, wants_h: bool = False, mixed: torch.dtype | None = None, tolerance: float = 1e-12) -> None:
    given = inputs(of, wants_h)
    expected, found = gradients(plainly, of, *given, mixed), gradients(run_again, of, *given, mixed)
    assert torch.equal(expected[0][1], found[0][1]), 'the result is that of the block, bit for bit'
    for (name, a), (_, b) in zip(expected, found, strict=True):
        assert (a is None) == (b is None), name
        if a is not None:
            assert a.dtype == b.dtype and a.shape == b.shape, name
            assert float((a - b).abs().max()) <= tolerance * (1 + float(a.abs().max())), name


@pytest.mark.parametrize('wants_h', [False, True])
@pytest.mark.parametrize('gate', [*GATES, None])
def test_it_is_that_of_autograd(gate, wants_h):
    compare(block(gate), wants_h)


@pytest.mark.parametrize('change', [dict(kernel_size=1), dict(ratios=(1,)), dict(ratios=(1, 2, 8))])
def test_other_kernels_and_bottlenecks(change):
    compare(block(**change))


@pytest.mark.parametrize('gate', [*GATES, None])
@pytest.mark.parametrize('mixed, tolerance', [(torch.bfloat16, 0.03), (torch.float16, 0.004)])
def test_in_mixed_precision_it_is_the_same_but_for_rounding(gate, mixed, tolerance):
    compare(block(gate, dtype=torch.float32), True, mixed, tolerance)


def test_of_one_image_and_one_position():
    of = block()
    given = inputs(of)[0][:1, :1, :1].detach(), inputs(of)[1][:1, :1, :1].detach()
    for (name, a), (_, b) in zip(gradients(plainly, of, *given), gradients(run_again, of, *given)):
        assert a is b is None or torch.allclose(a, b, rtol=1e-10, atol=1e-12), name


def test_it_keeps_its_inputs_alone():
    of = block()
    h, state = inputs(of)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x) or x, lambda x: x):
        run_again(of, h, state)
    assert len(kept) == 2 and kept[0] is h and kept[1] is state


def test_what_does_not_train_gets_no_gradient():
    of = block()
    of.reduce.requires_grad_(False)
    h, state = inputs(of)
    run_again(of, h, state.detach()).sum().backward()
    assert of.reduce.weight.grad is None and of.fusion.up.weight.grad is not None and h.grad is None


def test_hooks_of_a_parameter_run_once():
    seen = []
    for run in (plainly, run_again):
        of = block()
        of.fusion.down.weight.register_hook(lambda gradient: gradient / 2)
        run(of, *inputs(of)).sum().backward()
        seen.append(of.fusion.down.weight.grad)
    torch.testing.assert_close(*seen)


def test_what_stops_to_train_before_the_backward_pass_changes_nothing():
    of = block()
    h, state = inputs(of)
    result = run_again(of, h, state)
    of.reduce.requires_grad_(False)
    result.sum().backward()
    assert of.fusion.up.weight.grad is not None and state.grad is not None


def test_weights_that_have_changed_since_are_refused_as_torch_does():
    for run in (plainly, run_again):
        of = block()
        result = run(of, *inputs(of))
        with torch.no_grad():
            of.fusion.down.weight.mul_(2)
        with pytest.raises(
            RuntimeError, match=r'modified by an inplace operation.* is at version \d+; expected version'
        ):
            result.sum().backward()


def test_gradients_of_several_batches_add_up_before_and_after_a_step():
    found = []
    for run in (plainly, run_again):
        of = block()
        optimizer = torch.optim.AdamW(of.parameters(), lr=0.1)
        torch.manual_seed(1)
        for _ in range(2):
            for _ in range(2):
                run(of, *inputs(of)).square().sum().backward()
            optimizer.step()
        found.append(of.reduce.weight.grad)
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-9)


def test_a_backward_pass_inside_of_mixed_precision_is_that_outside():
    found = []
    for inside in (False, True):
        of = block(dtype=torch.float32)
        result = run_again(of, *inputs(of))
        with torch.autocast('cpu', torch.bfloat16, enabled=inside):
            result.sum().backward()
        found.append(of.reduce.weight.grad)
    assert torch.equal(*found)


def test_shapes_alone_suffice():
    """By which memory is foretold."""
    of = block(dtype=torch.float32).to('meta')
    h, state = torch.empty(3, 5, 4, 6, device='meta'), torch.empty(3, 5, 4, 8, device='meta', requires_grad=True)
    run_again(of, h, state).sum().backward()
    assert state.grad.shape == state.shape and all(p.grad.shape == p.shape for p in of.parameters())
