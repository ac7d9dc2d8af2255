"""How long a grid will take and how much memory it needs, before it starts."""

import contextlib
import io
import json
import math
import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import is_cuda_available
from mmengine.registry import DATASETS, DefaultScope

from mmest.config_parts import kind_of, parts_of
from mmest.frameworks import framework_of
from mmest.measure.environment import hardware
from mmest.measure.memory.step import measure_training_step
from mmest.measure.ready import prepare
from mmest.measure.step_time import alternating_step_times
from mmest.measure.synthetic_batch import synthetic_batch

from .cell import Cell
from .config_text import config_of_cell
from .measuring import resumed_from
from .tables.table import Column, Table

_TRAINED = ('accuracy', 'sweep')
_SIZES = dict(RandomCrop='crop_size', Resize='scale', RandomResize='scale')  # the first of these that a pipeline has


@dataclass(frozen=True)
class Estimate:
    """What one cell needs.

    Attributes:
        seconds: of its process; None where nothing tells.
        peak: bytes of a training step, on this machine; None where nothing tells.
        reason: why something is not known.
    """

    seconds: float | None = None
    peak: int | None = None
    reason: str = ''


def from_records(cells: list[Cell], records: list[dict], together: bool = False) -> dict[str, Estimate]:
    """What records of the same method and config took on a card or processor like this machine's, whatever the seed and
    the rate; cells without are left out.

    Args:
        cells: which are to run.
        records: of any cells.
        together: whether trainings run side by side. Of such ones each took its share of their time, which says
            nothing of one alone.
    """
    took: dict[tuple, list[float]] = {}
    for record in records:
        if {'kind', 'wall_seconds', 'hardware'} <= record.keys() and not record['failed']:
            beside = record.get('side_by_side')
            like = _like(record, record['hardware'], beside is not None)
            took.setdefault(like, []).append(record['wall_seconds'] / (beside or 1))
    # Of each device once: a card's is asked of its driver.
    devices = {cell.name: cell.device for cell in cells}
    machines = {device: hardware(device) for device in set(devices.values()) if device != 'cuda' or is_cuda_available()}
    known = {}
    for cell in cells:
        like = _like(cell.request, machines.get(devices[cell.name], ''), together and cell.kind in _TRAINED)
        if like in took:
            known[cell.name] = Estimate(statistics.median(took[like]))
    return known


def _like(request: dict, machine: str, side_by_side: bool) -> tuple:
    kind = 'trained' if request['kind'] in _TRAINED else request['kind']
    same = ('config', 'variant', 'method', 'size', 'batch_size', 'precision', 'device', 'steps')
    # Whatever the driver and the number of threads.
    return kind, side_by_side, machine.partition(',')[0], *(str(request.get(key)) for key in same)


def from_steps(cells: list[Cell]) -> Iterator[tuple[Cell, Estimate]]:
    """What one training step of each cell that trains says, on synthetic images of the config's size: one measurement
    for all seeds and rates.
    """
    known: dict[str, Estimate] = {}
    steps: dict[str, int | FileNotFoundError] = {}
    for cell in cells:
        text = cell.request['config_text']
        if text not in known:
            known[text] = _of_training(config_of_cell(cell.request), cell.request['tuning'], steps)
        yield cell, known[text]


def _of_training(cfg: Config, tuning: dict, steps: dict[str, int | FileNotFoundError]) -> Estimate:
    """Of one config; ``steps`` holds what was found of each schedule and data set, which methods share."""
    of = json.dumps([cfg.train_cfg, cfg.train_dataloader], sort_keys=True, default=str)
    if of not in steps:
        try:
            steps[of] = training_steps(cfg)
        except FileNotFoundError as error:
            steps[of] = error
    # Before anything is measured: a step of a large model takes long on a CPU, and without data nothing trains.
    if isinstance(steps[of], FileNotFoundError):
        return Estimate(reason=f'{steps[of].filename or steps[of]} is not there')
    batch_size = cfg.train_dataloader.batch_size
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        size = training_size(cfg)
        model, optim_wrapper = prepare(cfg, tuning, size, device)
        batch = synthetic_batch(model, size, batch_size)
        step = min(alternating_step_times({'': (model, optim_wrapper)}, batch, warm_up=1, steps=2)[''])
        report = measure_training_step(model, batch, optim_wrapper)
    except Exception as error:  # of whatever method or config: the others still have their estimate
        return Estimate(reason=f'{type(error).__name__}: {error}')
    return Estimate(step * steps[of], report.allocator['max_allocated'] if report.allocator else report.peak)


def training_size(cfg: Config) -> tuple[int, int]:
    """Height and width of the images that a config trains on, as its pipeline says them or as its first image has them.

    Raises:
        FileNotFoundError: the pipeline does not say, and the data set is not there.
    """
    data_sets = parts_of(cfg.train_dataloader.dataset, without=['pipeline'])
    steps = [step for _, part in data_sets for step in part.get('pipeline', ())]
    for name, key in _SIZES.items():
        for step in steps:
            if kind_of(step) == name and step.get(key):
                one, other = step[key] if isinstance(step[key], (list, tuple)) else (step[key], step[key])
                # mmseg crops to (height, width); all else says (width, height).
                return (one, other) if name == 'RandomCrop' and not framework_of(cfg).detects else (other, one)
    return tuple(_training_data(cfg)[0]['inputs'].shape[-2:])


def _training_data(cfg: Config):
    # pycocotools prints what it does.
    with DefaultScope.overwrite_default_scope(cfg.default_scope), contextlib.redirect_stdout(io.StringIO()):
        return DATASETS.build(cfg.train_dataloader.dataset)


def training_steps(cfg: Config) -> int:
    """Training steps of a config's schedule.

    Raises:
        FileNotFoundError: the schedule counts epochs, and the data set is not there.
    """
    if cfg.train_cfg.get('max_iters'):
        return cfg.train_cfg.max_iters
    images = len(_training_data(cfg))
    return cfg.train_cfg.max_epochs * math.ceil(images / cfg.train_dataloader.batch_size)


def of_what_is_left(cells: list[Cell], known: dict[str, Estimate], work: Path) -> dict[str, Estimate]:
    """Estimates of whole trainings as those of what is left of them, where one was cut off and goes on.

    Args:
        cells: which are to run.
        known: what is known of them, by name.
        work: folder of the checkpoints.
    """
    left = dict(known)
    for cell in cells:
        whole = known.get(cell.name, Estimate()).seconds
        checkpoint = resumed_from(cell, work) if whole is not None and cell.kind in _TRAINED else None
        if checkpoint is not None:
            schedule = config_of_cell(cell.request).train_cfg
            unit, most = ('iter', schedule.max_iters) if schedule.get('max_iters') else ('epoch', schedule.max_epochs)
            named = re.fullmatch(rf'{unit}_(\d+)', checkpoint.stem)  # the file may have hundreds of megabytes
            done = int(named[1]) / most if named else 0
            left[cell.name] = replace(known[cell.name], seconds=whole * max(0.0, 1 - done))
    return left


def summary(cells: list[Cell], known: dict[str, Estimate], jobs: int) -> str:
    """One sentence."""
    seconds = [known[cell.name].seconds for cell in cells if cell.name in known]
    told = [s for s in seconds if s is not None]
    if not told:
        return f'How long these {len(cells)} cells take is not known.' if cells else ''
    peaks = [e.peak for e in known.values() if e.peak]
    memory = f', with up to {max(peaks) / 2**30:.1f} GiB each' if peaks else ''
    unknown = f'; of {len(cells) - len(told)} it is not known' if len(told) < len(cells) else ''
    return f'{len(told)} cells take about {sum(told) / 3600 / jobs:.1f} h{memory}{unknown}.'


def by_config(cells: list[Cell], known: dict[str, Estimate]) -> Table:
    """A row for each config: its cells, the hours that they take one after another, the largest peak, and of how many
    nothing is known.
    """
    of: dict[str, list[Estimate]] = {}
    for cell in cells:
        of.setdefault(cell.request['config'], []).append(known.get(cell.name, Estimate()))
    rows = []
    for config, estimates in of.items():
        seconds = [e.seconds for e in estimates if e.seconds is not None]
        peaks = [e.peak / 2**30 for e in estimates if e.peak]
        hours = sum(seconds) / 3600 if seconds else None
        unknown = len(estimates) - len(seconds) or None
        rows.append([config, len(estimates), hours, max(peaks, default=None), unknown])
    columns = [Column('config'), Column('cells'), Column('hours', '{:.1f}'), Column('GiB', '{:.1f}')]
    return Table('', [*columns, Column('not known')], rows)
