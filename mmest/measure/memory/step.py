"""The live peak of one training step, and what it is made of."""

import copy
import gc
import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from .allocator import allocator_figures
from .attribution import attribution, label_survivors, label_weights
from .categories import INPUTS
from .live import LiveTensorCounter, tensors_in
from .modules import by_module
from .timeline import Timeline

_SEED = 0
# GradScaler starts at a scale of 2**16 and halves it per skipped step.
_MOST_STEPS_TO_AN_UPDATE = 32


@dataclass(frozen=True)
class MemoryReport:
    """What one training step needs.

    Attributes:
        peak: bytes of live tensors at the fullest moment of the step.
        attribution: bytes per category at that moment. They add up to ``peak``.
        phase: when that was: ``forward``, ``backward`` or ``optimizer``.
        part: whose operators ran: ``inputs`` (the data preprocessor), ``backbone``, ``side``, ``heads``, or
            ``optimizer``.
        operator: the ATen operator that had just returned.
        modules: bytes per module and category at that moment, adding up to ``peak`` as well; see
            :func:`mmest.measure.memory.modules.by_module`.
        allocator: CUDA only, see :func:`mmest.measure.memory.allocator.allocator_figures`.
    """

    peak: int
    attribution: dict[str, int]
    phase: str
    part: str
    operator: str
    modules: dict[str, dict[str, int]]
    allocator: dict | None = None

    def to_dict(self) -> dict:
        """All but the figures per module, of which there are hundreds."""
        report = asdict(self)
        del report['modules']
        return report


def measure_training_step(
    model: nn.Module, data_batch: Any, optim_wrapper: OptimWrapper, timeline: Timeline | None = None
) -> MemoryReport:
    """Train one step to warm up, then measure one; on a card, train a third for the allocator's figures.

    A step is ``model.train_step``: data preprocessor, losses, backward, optimizer. Where gradients are accumulated, or
    mixed precision skips an update, it goes on until the optimizer has worked. Random numbers are the same in every
    call, and the garbage collector rests during a step, so the figure does not depend on when it would have run.

    The model is trained by these steps: measure one that you throw away.

    Args:
        model: an mmengine model on the device to measure. In a model with a ``TunedBackbone``, ``side`` is its method
            and ``backbone`` what it wraps; otherwise ``backbone`` is ``model.backbone``, if there is one. All else is
            ``heads``.
        data_batch: what the data loader would yield. It is copied for every step and left as it is.
        optim_wrapper: over the parameters of ``model``.
        timeline: filled with every moment of the step.

    Returns:
        MemoryReport: Bytes, and the moment of the peak.

    Raises:
        RuntimeError: If the optimizer does not come to work.
    """
    device = next(model.parameters()).device
    counter = LiveTensorCounter(device)
    model.train()
    with repeatable(device), attribution(counter, model, optim_wrapper):
        label_weights(counter, model)
        train_until_update(counter, model, data_batch, optim_wrapper)
        gc.collect()
        label_survivors(counter, model, optim_wrapper)
        counter.restart_peak()
        if timeline is not None:
            timeline.follow(counter)
        train_until_update(counter, model, data_batch, optim_wrapper)
    peak = counter.peak
    allocator = _allocated(model, data_batch, optim_wrapper, device) if device.type == 'cuda' else None
    return MemoryReport(peak.total, peak.by_category, peak.phase, peak.part, peak.operator, by_module(peak), allocator)


def _allocated(model: nn.Module, data_batch: Any, optim_wrapper: OptimWrapper, device: torch.device) -> dict:
    """The allocator's figures of a step that nothing watches: within a mode autograd adds no gradients in place."""
    with repeatable(device):
        torch.cuda.empty_cache()  # else "reserved" is of all before
        torch.cuda.reset_peak_memory_stats(device)
        train_until_update(None, model, data_batch, optim_wrapper)
    return allocator_figures(device)


@contextmanager
def repeatable(device: torch.device) -> Iterator[None]:
    """The same random numbers, and no garbage collection at chance moments; both are given back as they were."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    collected = gc.isenabled()
    gpus = [device] if device.type == 'cuda' else []
    with torch.random.fork_rng(devices=gpus):
        gc.collect()
        gc.disable()
        random.seed(_SEED)
        np.random.seed(_SEED)
        torch.manual_seed(_SEED)
        try:
            yield
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)
            if collected:
                gc.enable()


def train_until_update(
    counter: LiveTensorCounter | None, model: nn.Module, data_batch: Any, optim_wrapper: OptimWrapper
) -> None:
    """Train steps, counted if there is a counter, until the optimizer has worked.

    Raises:
        RuntimeError: it does not come to work.
    """
    updates = []
    hook = optim_wrapper.optimizer.register_step_post_hook(lambda *_: updates.append(1))
    try:
        for _ in range(_MOST_STEPS_TO_AN_UPDATE):
            # Preprocessors pad and convert the samples in place.
            batch = copy.deepcopy(data_batch)
            with nullcontext() if counter is None else _counting(counter, batch):
                model.train_step(batch, optim_wrapper)  # type: ignore[operator]
            if updates:
                return
    finally:
        hook.remove()
    raise RuntimeError(
        'Expected the optimizer to update the weights at least once in '
        f'{_MOST_STEPS_TO_AN_UPDATE} training steps, but it never did. Look '
        'for accumulative_counts in optim_wrapper, and for losses that are '
        'infinite under mixed precision.'
    )


@contextmanager
def _counting(counter: LiveTensorCounter, batch: Any) -> Iterator[None]:
    counter.phase, counter.part, counter.module = 'forward', 'heads', ''
    with counter:
        for tensor in tensors_in(batch):
            counter.label(tensor, INPUTS)
        yield
