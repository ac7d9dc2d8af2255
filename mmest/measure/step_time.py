"""The time of a training step, compared between models fairly."""

import copy
import time
from collections.abc import Callable
from typing import Any

from mmengine.optim import OptimWrapper
from torch import nn

from mmest.measure.device import synchronise


def alternating_step_times(
    models: dict[str, tuple[nn.Module, OptimWrapper]],
    data_batch: Any,
    warm_up: int = 3,
    steps: int = 20,
    progress: Callable[[], Any] = lambda: None,
) -> dict[str, list[float]]:
    """Time whole training steps (forward, losses, backward, optimizer) of several models on the same batch.

    The models take turns, step by step, in one process, so a machine that is busy or throttles slows all of them alike.
    CUDA is synchronised around a step. Learning rates are zero meanwhile: every step finds the weights that the model
    came with. Otherwise the proposals would change as a head learns, sooner for one method than for another, and with
    them what RoIAlign costs, a large part of a step on a CPU.

    Args:
        models: model and optimizer wrapper by name. Their parameters are the same afterwards.
        data_batch: what ``model.train_step`` takes; every step gets a copy.
        warm_up: rounds that are not counted.
        steps: rounds that are.
        progress: called after every step.

    Returns:
        Seconds of each counted step, by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in models}
    groups = [group for _, optim_wrapper in models.values() for group in optim_wrapper.param_groups]
    rates = [group['lr'] for group in groups]
    for model, _ in models.values():
        model.train()
    for group in groups:
        group['lr'] = 0.0
    try:
        for _ in range(warm_up + steps):
            for name, (model, optim_wrapper) in models.items():
                batch = copy.deepcopy(data_batch)
                synchronise()
                start = time.perf_counter()
                model.train_step(batch, optim_wrapper)
                synchronise()
                seconds[name].append(time.perf_counter() - start)
                progress()
    finally:
        for group, rate in zip(groups, rates):
            group['lr'] = rate
    return {name: times[warm_up:] for name, times in seconds.items()}
