"""The memory of one config under several tuning methods."""

from collections.abc import Callable
from typing import Any

from mmengine.config import Config

from mmest.frameworks import framework_of
from mmest.measure.batch_of_one import explaining_batches_of_one
from mmest.measure.device import memory_shortage
from mmest.measure.environment import versions
from mmest.measure.parameters import parameter_counts
from mmest.measure.ready import check, optim_config, prepare, with_method
from mmest.measure.synthetic_batch import BOXES_PER_IMAGE, synthetic_batch

from .step import MemoryReport, measure_training_step
from .timeline import Timeline

#: Shares are of this method's peak.
FULL = 'full'


def compare_tunings(
    cfg: Config,
    tunings: dict[str, dict],
    size: tuple[int, int],
    batch_size: int,
    device: str = 'cpu',
    precision: str = 'fp32',
    done: Callable[[str, MemoryReport, Timeline], Any] = lambda *_: None,
    memory: dict[str, list[str]] | None = None,
) -> dict:
    """Measure a training step of one config under each of several methods, on synthetic input.

    The models start from random weights: no file is read and nothing is downloaded. Images keep the size asked for: the
    data preprocessor's own crop size and batch augmentations are left out.

    Args:
        cfg: a config of mmdet or mmseg whose ``model.backbone`` is a ``TunedBackbone``. Its ``optim_wrapper`` is used,
            or AdamW, if there is none; its precision is not.
        tunings: names, and the configs of the methods.
        size: height and width of the images in pixels.
        batch_size: number of images.
        device: ``cpu`` or ``cuda``.
        precision: one of :data:`~mmest.measure.ready.PRECISIONS`.
        done: called with the name of each method that has been measured, its report and its timeline.
        memory: levers on memory by the name of the method, in place of the config's own.

    Returns:
        The record that ``mmest memory`` writes; its docstring has the keys.

    Raises:
        ValueError: the config has no TunedBackbone; the device is not there, or too small; a CPU is asked for fp16.
    """
    check(cfg, device, precision)
    rows = {}
    for name, tuning in tunings.items():
        own = with_method(cfg, tuning, None if memory is None else memory[name])
        try:
            with explaining_batches_of_one():
                report, timeline, parameters = _measure(own, tuning, size, batch_size, device, precision)
        except RuntimeError as error:
            if device != 'cuda' or memory_shortage(error) is None:
                raise
            raise ValueError(
                f'The method "{name}" does not fit into the memory of this GPU at batch {batch_size} and '
                f'{size[0]}×{size[1]}. Take a smaller batch or size, leave it out, or measure on the CPU.'
            ) from error
        levers = list(own.get('memory') or [])
        rows[name] = dict(tuning=dict(tuning), memory=levers, parameters=parameters, **report.to_dict())
        done(name, report, timeline)
    full = rows.get(FULL)
    for row in rows.values():
        row['share_of_full'] = row['peak'] / full['peak'] if full else None
    return dict(
        size=list(size),
        batch_size=batch_size,
        boxes_per_image=BOXES_PER_IMAGE if framework_of(cfg).detects else None,
        device=device,
        precision=precision,
        optimizer=optim_config(cfg, precision)['optimizer']['type'],
        versions=versions(),
        tunings=rows,
    )


def _measure(
    cfg: Config, tuning: dict, size: tuple[int, int], batch_size: int, device: str, precision: str
) -> tuple[MemoryReport, Timeline, dict[str, int]]:
    model, optim_wrapper = prepare(cfg, tuning, size, device, precision)
    timeline = Timeline()
    report = measure_training_step(model, synthetic_batch(model, size, batch_size), optim_wrapper, timeline)
    return report, timeline, parameter_counts(model)
