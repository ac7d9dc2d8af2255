"""The live peak of a training step: exact, additive, the same every time."""

import gc
import itertools
import json

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from torch import nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

from mmest.measure.memory import CATEGORIES, LiveTensorCounter, RunningPeak, measure_training_step
from mmest.measure.memory.timeline import Timeline

FLOAT = 4
BATCH, WIDTH = 64, 32


class Chain(BaseModel):
    """x -> Linear -> ReLU -> Linear -> sum, all of one width."""

    def __init__(self, width=WIDTH):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(width, width, bias=False), nn.ReLU())
        self.head = nn.Linear(width, width, bias=False)

    def forward(self, inputs, mode='loss'):
        return dict(loss=self.head(self.backbone(inputs)).sum())


class Tuned(nn.Module):
    """The shape of a TunedBackbone: a frozen part and a side network."""

    def __init__(self, width):
        super().__init__()
        self.backbone = nn.Linear(width, width, bias=False)
        self.backbone.requires_grad_(False)
        self.method = nn.Sequential(nn.Linear(width, width, bias=False), nn.Sigmoid())

    def forward(self, x):
        with torch.no_grad():
            x = self.backbone(x)
        return self.method(x)


def wrapper(model, **kwargs):
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trainable, lr=0.01, foreach=False)
    return OptimWrapper(optimizer, **kwargs)


def batch(rows=BATCH, width=WIDTH):
    return dict(inputs=torch.linspace(-1, 1, rows * width).view(rows, width))


def step_report(model, **kwargs):
    return measure_training_step(model, batch(), wrapper(model, **kwargs))


def test_chain_by_hand():
    """The fullest moment is ReLU's backward: there are the batch, ReLU's output (the one map that is kept), the
    gradients of that output and of ReLU's input, and the finished gradient of the second matrix.
    """
    torch.manual_seed(0)
    report = step_report(Chain())
    row, matrix = BATCH * WIDTH * FLOAT, WIDTH * WIDTH * FLOAT
    parts = dict(report.attribution)
    scalars = parts.pop('saved_heads')  # the loss, and its copies for the log
    assert 0 < scalars < 64
    assert 0 <= parts.pop('transient') - 2 * row < 64
    assert parts == dict(
        weights_frozen=0,
        weights_trainable=2 * matrix,
        gradients=matrix,
        optimizer=2 * (2 * matrix + FLOAT),  # two moments and a step count
        saved_backbone=row,
        saved_side=0,
        inputs=row,
    )
    assert (report.phase, report.part) == ('backward', 'backbone')
    assert report.operator == 'aten.threshold_backward.default'


def test_side_network_by_hand():
    """No gradient reaches the frozen matrix. Its output is saved by the side Linear, Sigmoid's output by Sigmoid and by
    the head.
    """

    class Model(Chain):
        def __init__(self):
            super().__init__()
            self.backbone = Tuned(WIDTH)
            self.register_buffer('table', torch.ones(3))

    report = step_report(Model())
    row, matrix = BATCH * WIDTH * FLOAT, WIDTH * WIDTH * FLOAT
    parts = report.attribution
    assert parts['weights_frozen'] == matrix + 3 * FLOAT
    assert parts['weights_trainable'] == 2 * matrix
    assert parts['saved_backbone'] == 0
    assert parts['saved_side'] == 2 * row
    assert report.part == 'side'


def test_gradients_of_a_wide_chain_peak_in_the_optimizer():
    """With one row, weights are all that counts: at the end of backward there are weights, gradients, two moments, and
    AdamW's own matrix.
    """
    model = Chain(width=128)
    report = measure_training_step(model, batch(1, 128), wrapper(model))
    matrix = 128 * 128 * FLOAT
    assert report.phase == 'optimizer'
    assert report.attribution['gradients'] == 2 * matrix
    assert report.attribution['optimizer'] == 4 * matrix + 2 * FLOAT


def test_parts_add_up_and_repeat():
    reports = []
    for _ in range(2):
        torch.manual_seed(0)
        reports.append(step_report(Chain()))
    assert reports[0] == reports[1]
    assert set(reports[0].attribution) == set(CATEGORIES)
    assert sum(reports[0].attribution.values()) == reports[0].peak


class Convs(Chain):
    """Kept results of many kinds: dropout, norms, in-place operators."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(inplace=True), nn.Dropout(), nn.MaxPool2d(2)
        )
        self.head = nn.Sequential(nn.Conv2d(16, 8, 3), nn.GroupNorm(2, 8), nn.GELU())


def test_attribution_does_not_change_the_peak():
    """Counting alone, without one hook in the model, gives the same peak."""
    images = dict(inputs=torch.rand(2, 3, 33, 47))
    torch.manual_seed(0)
    model = Convs()
    instrumented = measure_training_step(model, images, wrapper(model))

    torch.manual_seed(0)
    model = Convs().train()
    optim_wrapper = wrapper(model)
    counter = LiveTensorCounter()
    with counter:
        for tensor in (*model.state_dict().values(), images['inputs']):
            counter.label(tensor, 'inputs')
        model.train_step(images, optim_wrapper)
        gc.collect()
        counter.restart_peak()
        model.train_step(images, optim_wrapper)
    assert counter.peak.total == instrumented.peak


def test_checkpointed_side_network_is_held_by_the_side():
    """What checkpointing keeps is not packed, yet it is held for backward."""

    class Checkpointed(Tuned):
        def __init__(self, width):
            super().__init__(width)
            layers = self.method

            class Method(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.layers = layers

                def forward(self, x):
                    x = x + 1
                    return checkpoint(self.layers, x, use_reentrant=False)

            self.method = Method()

    class Model(Chain):
        def __init__(self):
            super().__init__()
            self.backbone = Checkpointed(WIDTH)

    report = step_report(Model())
    assert report.attribution['saved_side'] >= BATCH * WIDTH * FLOAT


def test_accumulated_gradients_are_measured_to_the_update():
    model = Chain()
    report = step_report(model, accumulative_counts=3)
    assert report.attribution['gradients'] == 2 * WIDTH * WIDTH * FLOAT


def test_an_optimizer_that_never_works_is_an_error():
    model = Chain()
    with pytest.raises(RuntimeError, match='accumulative_counts'):
        step_report(model, accumulative_counts=1000)


def test_model_and_random_state_are_given_back_without_hooks():
    model = Chain()
    optim_wrapper = wrapper(model)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    measure_training_step(model, batch(), optim_wrapper)
    assert torch.equal(before, torch.get_rng_state())
    assert gc.isenabled()
    assert 'backward' not in vars(optim_wrapper)
    for module in model.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks
    assert all(not p._post_accumulate_grad_hooks for p in model.parameters())


def test_a_storage_counts_once_until_it_is_freed():
    with LiveTensorCounter() as counter:
        x = torch.zeros(10)
        view = x[2:].view(2, 4)
        assert counter.total == 10 * FLOAT
        view.add_(1)
        del x
        assert counter.total == 10 * FLOAT
        y = view * 2
        assert counter.total == 18 * FLOAT
        del view
        assert counter.total == 8 * FLOAT
    del y
    assert counter.total == 0
    assert counter.peak.total == 18 * FLOAT


def test_resized_and_earlier_storages():
    earlier = torch.zeros(5)
    with LiveTensorCounter() as counter:
        x = torch.zeros(4)
        x.resize_(100)
        assert counter.total == 100 * FLOAT
        x.untyped_storage().resize_(0)
        x.detach()
        assert counter.total == 0
        earlier.add_(1)
        assert counter.totals == dict(transient=0, inputs=5 * FLOAT)
        counter.label(earlier, 'optimizer', only_if='transient')
        assert counter.totals['optimizer'] == 0
        counter.label(earlier, 'optimizer')
        assert counter.totals['optimizer'] == 5 * FLOAT


def of_the_profiler(step) -> int:
    """Bytes that a step allocates at most at a time, by what torch's allocator says of a run without the counter."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        step()
    events = [event for event in run.profiler.kineto_results.events() if event.name() == '[memory]']
    changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(itertools.accumulate(changes))


BRANCHES = {
    'two': [torch.sin, torch.cos],
    'four': [torch.sin, torch.cos, torch.tanh, torch.sigmoid],
    'one gradient for two': [torch.sin, lambda x: x + x.cos()],
    'a part': [lambda x: x[:100].sin().sum(), torch.cos],
    'an expanded gradient': [torch.sum, torch.sin],
    'a formula that adds by itself': [lambda x: sum(torch.var_mean(x))],
}


@pytest.mark.parametrize('name', BRANCHES)
def test_gradients_that_meet_are_added_in_place_as_without_the_counter(name):
    weight = torch.randn(256, 256, requires_grad=True)

    def step() -> None:
        weight.grad = None
        x = weight.exp()
        sum(branch(x) for branch in BRANCHES[name]).sum().backward()

    step()
    weight.grad = None  # now: the profiler sees, or does not, what is freed as it begins
    expected = of_the_profiler(step)
    counter = LiveTensorCounter()
    timeline = Timeline()
    timeline.follow(counter)
    with counter:
        step()
    assert counter.peak.total - weight.nbytes == pytest.approx(expected, abs=1000)  # scalars, in blocks of 64 bytes
    assert max(moment.total for moment in timeline.moments) == counter.peak.total


def test_a_sum_that_python_code_makes_in_backward_is_a_new_tensor():
    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.kept = x * 1
            return x * 1

        @staticmethod
        def backward(ctx, gradient):
            kept = ctx.kept
            return gradient + kept

    x = torch.zeros(1000, requires_grad=True)
    with LiveTensorCounter() as counter:
        y = Doubled.apply(x)
        loss = y.exp().sum()
        counter.restart_peak()
        loss.backward()
    # x, what it keeps, y and its exponential, which goes with its node, then two gradients
    assert counter.peak.total // (1000 * FLOAT) == 5


def test_a_sum_at_the_very_end_counts_with_the_terms_that_are_held():
    x, held = torch.zeros(1000, requires_grad=True), []
    with LiveTensorCounter() as counter:
        branches = [x * 2, x * 3]
        for y in branches:
            y.grad_fn.register_hook(lambda inputs, _: held.append(inputs[0]))
        (found,) = torch.autograd.grad(sum(branches).sum(), x)  # after which no operator follows
    assert (found == 5).all() and len(held) == 2
    assert counter.peak.total // (1000 * FLOAT) == 6  # x, its branches, their gradients, the sum


def test_the_batch_is_left_as_it_is():
    class Eating(Chain):
        def train_step(self, data, optim_wrapper):
            return super().train_step(dict(inputs=data.pop('inputs').mul_(2)), optim_wrapper)

    model, given = Eating(), batch()
    measure_training_step(model, given, wrapper(model))
    assert torch.equal(given['inputs'], batch()['inputs'])


def test_other_devices_do_not_count():
    with LiveTensorCounter() as counter:
        x = torch.zeros(10, device='meta')
        x.add(1)
    assert counter.peak.total == 0


def test_running_peak_survives_resets(monkeypatch):
    """Mmengine resets the statistics whenever it logs."""
    readings = iter([5, 9, 3])
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'max_memory_allocated', lambda device: next(readings))
    peak = RunningPeak()
    assert peak.value is None
    for expected in (5, 9, 9):
        peak.update()
        assert peak.value == expected


def test_every_operator_agrees_with_the_allocator(tmp_path):
    """Torch's own record of the CPU allocator, read as each operator ends."""

    class Noting(LiveTensorCounter):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = super().__torch_dispatch__(func, types, args, kwargs)
            with torch.profiler.record_function(f'live {self.total}'):
                return result

    counter = Noting()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        model = Convs().train()
        images = dict(inputs=torch.rand(2, 3, 33, 47))
        optim_wrapper = wrapper(model)
        for tensor in (*model.state_dict().values(), images['inputs']):
            counter.label(tensor, 'inputs')
        with counter:
            for _ in range(2):
                model.train_step(images, optim_wrapper)
    trace = tmp_path / 'trace.json'
    profiler.export_chrome_trace(str(trace))

    allocated, earlier, differences = 0, None, []
    events = json.loads(trace.read_text())['traceEvents']
    for event in sorted(events, key=lambda e: float(e.get('ts', 0))):
        name = str(event.get('name'))
        if name == '[memory]':
            allocated = event['args']['Total Allocated']
            if earlier is None:  # what other tests had the profiler see is in its totals
                earlier = allocated - event['args']['Bytes']
        elif name.startswith('live '):
            differences.append(allocated - earlier - int(name.split()[1]))
    assert len(differences) > 100
    # Scalars in operators' pockets, never a map: the least is 2×8×14×21.
    assert max(map(abs, differences)) < 512
