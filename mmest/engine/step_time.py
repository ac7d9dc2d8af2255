"""The time of a training step, compared between models fairly."""
import copy
import time
from typing import Any, Callable, Dict, List, Tuple

import torch
from mmengine.optim import OptimWrapper
from torch import nn


def alternating_step_times(models: Dict[str, Tuple[nn.Module, OptimWrapper]], data_batch: Any, warm_up: int = 3,
                           steps: int = 20, progress: Callable[[], Any] = lambda: None) -> Dict[str, List[float]]:
    """Time whole training steps (forward, losses, backward, optimizer) of several models on the same batch.

    The models take turns, step by step, in one process, so a machine that is busy or throttles slows all of them alike.
    CUDA is synchronised around a step.

    Args:
        models: model and optimizer wrapper by name.
        data_batch: what ``model.train_step`` takes; every step gets a copy.
        warm_up: rounds that are not counted.
        steps: rounds that are.
        progress: called after every step.

    Returns:
        Seconds of each counted step, by name.
    """
    seconds: Dict[str, List[float]] = {name: [] for name in models}
    for model, _ in models.values():
        model.train()
    for _ in range(warm_up + steps):
        for name, (model, optim_wrapper) in models.items():
            batch = copy.deepcopy(data_batch)
            _synchronise()
            start = time.perf_counter()
            model.train_step(batch, optim_wrapper)
            _synchronise()
            seconds[name].append(time.perf_counter() - start)
            progress()
    return {name: times[warm_up:] for name, times in seconds.items()}


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
