"""What a training step of each method costs: memory and time."""

import statistics
from collections.abc import Callable

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner

from mmest.measure.memory import measure_training_step
from mmest.measure.parameters import parameter_counts
from mmest.measure.step_time import alternating_step_times

WARM_UP, STEPS = 3, 20
# A measurement of memory takes as long as this many steps, about: for the progress bar.
MEMORY_STEPS = 4


def measure(cfgs: dict[str, Config], progress: Callable[[float], None]) -> dict[str, dict]:
    """Measure one training step of several configs of one task, on the same batch.

    Args:
        cfgs: configs by method.
        progress: called with the share that is done, in [0, 1].

    Returns:
        Per method: ``peak`` and ``attribution`` of the live tensors in bytes; ``step``, the median in seconds; numbers
            of
        trainable parameters, ``trainable_backbone`` (in and beside the backbone) and ``trainable_rest`` (neck, head).
    """
    device, done = get_device(), 0
    total = len(cfgs) * (MEMORY_STEPS + WARM_UP + STEPS)

    def advance(steps: int = 1) -> None:
        nonlocal done
        done += steps
        progress(done / total)

    torch.manual_seed(0)
    first = next(iter(cfgs.values()))
    init_default_scope(first.default_scope)
    batch = next(iter(Runner.build_dataloader(first.train_dataloader, seed=0)))
    results, models = {}, {}
    for method, cfg in cfgs.items():
        model = MODELS.build(cfg.model)
        model.init_weights()
        model.to(device)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        report = measure_training_step(model, batch, wrapper)
        counts = parameter_counts(model)
        results[method] = dict(
            peak=report.peak,
            attribution=dict(report.attribution),
            trainable_backbone=counts['trained_by_method'],
            trainable_rest=counts['trained_in_heads'],
        )
        models[method] = model, wrapper
        advance(MEMORY_STEPS)
    for method, seconds in alternating_step_times(models, batch, WARM_UP, STEPS, advance).items():
        results[method]['step'] = statistics.median(seconds)
    return results
