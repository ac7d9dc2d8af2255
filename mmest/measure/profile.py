"""Where the time of a training step goes: by part of the model and by kind of operation."""

import copy
import time
from bisect import bisect
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.measure.device import synchronise

BACKBONE, METHOD, OTHERS, OPTIMIZER = 'backbone', 'method', 'neck and heads', 'optimizer'
_BACKWARD = ', backward'
_LABEL = 'mmest: '
_STEP = f'{_LABEL}step'

# The first that a name of an operation contains says of what kind it is.
_KINDS = {
    'operators of mmcv': ('roi_align', 'RoIAlign', 'nms', 'deform', 'DeformConv', 'focal_loss'),
    'convolutions': ('conv',),
    'matrix products': ('mm', 'linear', 'matmul', 'Addmm', 'attention'),
    'norms': ('norm',),
    'copies': (
        'copy',
        'clone',
        'contiguous',
        'cat',
        'stack',
        'index',
        'gather',
        'scatter',
        'roll',
        'pad',
        'slice_back',
    ),
    'views': ('view', 'reshape', 'permute', 'transpose', 'aten::t', 'expand', 'slice', 'select', 'as_strided', 'split'),
    'pooling and resizing': ('pool', 'upsample', 'interpolate'),
    'sums and means': ('sum', 'mean', 'max', 'topk', 'sort', 'argmax'),
    'new tensors': ('empty', 'zero', 'ones', 'full', 'fill', 'arange'),
    'elementwise': ('add', 'sub', 'mul', 'div', 'gelu', 'relu', 'sigmoid', 'softmax', 'exp', 'log', 'where', 'clamp'),
}
_REST = 'others'


def profile_step(model: nn.Module, optim_wrapper: OptimWrapper, data_batch: Any, steps: int = 3) -> dict:
    """Profile whole training steps (forward, losses, backward, optimizer) of a model with one TunedBackbone.

    Times are those of operations themselves, on a CPU or, with CUDA, of their kernels; a backward operation counts to
    the part whose forward operation it belongs to. Of several steps each operation counts with its fastest. What Python
    takes between operations is in none of them.

    Args:
        model: in training mode; its parameters are others afterwards.
        optim_wrapper: its optimizer.
        data_batch: what ``model.train_step`` takes; every step gets a copy.
        steps: that are profiled, after one that is not.

    Returns:
        ``seconds`` of a step without the profiler, and ``parts``: of each its ``seconds``, ``operations`` and
        ``kinds``, which have the same two.
    """
    model.train_step(copy.deepcopy(data_batch), optim_wrapper)
    synchronise()
    start = time.perf_counter()
    for _ in range(steps):
        model.train_step(copy.deepcopy(data_batch), optim_wrapper)
    synchronise()
    seconds = (time.perf_counter() - start) / steps
    cuda = next(model.parameters()).device.type == 'cuda'
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with _labelled(model), profile(activities=activities) as profiler:
        for _ in range(steps):
            with record_function(_STEP):
                model.train_step(copy.deepcopy(data_batch), optim_wrapper)
                synchronise()
    return dict(seconds=seconds, parts=_by_part(list(profiler.events()), cuda))


@contextmanager
def _labelled(model: nn.Module) -> Iterator[None]:
    """Ranges around the backbone and the method."""
    (_, tuned), *_ = tuned_backbones(model)
    handles, open_ranges = [], []

    def enter(name: str) -> Any:
        def hook(*_) -> None:
            open_ranges.append(record_function(_LABEL + name))
            open_ranges[-1].__enter__()

        return hook

    def leave(*_) -> None:
        open_ranges.pop().__exit__(None, None, None)

    for module, name in ((tuned.backbone, BACKBONE), (tuned.method, METHOD)):
        handles.append(module.register_forward_pre_hook(enter(name)))
        handles.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _by_part(events: list, cuda: bool) -> dict:
    """Self times and counts of the operations of a step, by part and kind."""
    on_cpu = (e for e in events if e.device_type == torch.autograd.DeviceType.CPU)
    ordered = sorted(on_cpu, key=lambda e: e.time_range.start)
    # An operation that builds no graph has the number of the next that does, so the last of a number is its owner.
    owner = {e.sequence_nr: _forward_part(e) for e in ordered if e.sequence_nr >= 0 and not _backward_node(e)}
    starts = [e.time_range.start for e in ordered if e.name == _STEP]
    found: dict[tuple[str, str], list[list[float]]] = defaultdict(lambda: [[] for _ in starts])
    for event in ordered:
        if '::' not in event.name or event.name.startswith('autograd::'):
            continue
        node = _backward_node(event)
        part = _forward_part(event) if node is None else owner.get(node.sequence_nr, OTHERS) + _BACKWARD
        seconds = (event.self_device_time_total if cuda else event.self_cpu_time_total) / 1e6
        found[part, kind_of(event.name)][bisect(starts, event.time_range.start) - 1].append(seconds)
    parts: dict[str, dict] = defaultdict(dict)
    for (part, kind), of_steps in found.items():
        parts[part][kind] = dict(seconds=_least(of_steps), operations=len(of_steps[0]))
    return {
        part: dict(
            seconds=sum(kind['seconds'] for kind in kinds.values()),
            operations=sum(kind['operations'] for kind in kinds.values()),
            kinds=dict(sorted(kinds.items(), key=lambda item: -item[1]['seconds'])),
        )
        for part, kinds in parts.items()
    }


def _least(of_steps: list[list[float]]) -> float:
    """Seconds of operations, each in the step in which it was fastest: what a busy machine adds is left out."""
    if len({len(times) for times in of_steps}) == 1:
        return sum(min(times) for times in zip(*of_steps))
    return min(sum(times) for times in of_steps)


def kind_of(name: str) -> str:
    """The kind of an operation, by its name."""
    return next((kind for kind, parts in _KINDS.items() if any(part in name for part in parts)), _REST)


def _above(event: Any) -> Iterator[Any]:
    while event is not None:
        yield event
        event = event.cpu_parent


def _forward_part(event: Any) -> str:
    for one in _above(event):
        if one.name.startswith(_LABEL) and one.name != _STEP:
            return one.name.removeprefix(_LABEL)
        if one.name.startswith('Optimizer.'):
            return OPTIMIZER
    return OTHERS


def _backward_node(event: Any) -> Any:
    """The step of the backward pass that an event is of, or None. Of steps within steps, where a module runs again and
    has a backward pass of its own, the outermost.
    """
    nodes = [one for one in _above(event) if one.name.startswith('autograd::engine::evaluate_function')]
    return nodes[-1] if nodes else None
