"""The cells that train and score."""

import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import MODELS, init_default_scope

from mmest.checkpoints.named_pretrained import without_pretrained
from mmest.configs import check_parts
from mmest.engine.launch import check_training, training_runner
from mmest.engine.resume import latest_complete_checkpoint
from mmest.frameworks import framework_of
from mmest.measure.parameters import parameter_counts

from .config_text import config_of_cell
from .data_digest import content_digest
from .decoded import share_decoded
from .held_out import hold_out
from .metrics import main_metric
from .record import read_record

# What the guard of a training says, and what trainings side by side do.
_DIVERGED = re.compile('the training diverged|The loss became infinite or NaN')


class _Evaluations(Hook):
    """Keeps what each evaluation found."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}

    def after_val_epoch(self, runner, metrics=None) -> None:
        self.metrics = {name: float(value) for name, value in metrics.items()}


class _Clock(Hook):
    """Has checkpoints say how many seconds it took to get to them, so that a training which was cut off knows what all
    its parts took.
    """

    def __init__(self) -> None:
        self._started, self.earlier = time.monotonic(), 0.0

    def before_save_checkpoint(self, runner, checkpoint) -> None:
        checkpoint['meta']['seconds'] = self.earlier + time.monotonic() - self._started

    def after_load_checkpoint(self, runner, checkpoint) -> None:
        self.earlier = checkpoint['meta'].get('seconds', 0.0)


def train_and_score(request: dict, folder: Path, records: Path) -> dict:
    """Train from the newest complete checkpoint in ``folder``, or from the start, and score.

    Args:
        request: of an accuracy cell or of one of its sweep.
        folder: work folder of this cell alone.
        records: folder of the records, where those of the sweep are.

    Returns:
        What the record says of it, and ``earlier_seconds``, which it had taken before it was cut off.
    """
    clock = _Clock()
    cfg, chosen = training_config(request, folder, records)
    checkpoint = latest_complete_checkpoint(folder)
    cfg.resume, cfg.load_from = checkpoint is not None, str(checkpoint) if checkpoint else None
    check_training(cfg)
    runner, evaluations = training_runner(cfg), _Evaluations()
    runner.register_hook(evaluations)
    runner.register_hook(clock)
    share_decoded([runner._train_dataloader, runner._val_dataloader], folder.parent / 'decoded')
    runner.train()
    if not evaluations.metrics:  # cut off between the end of the training and that of its evaluation
        runner.val_loop.run()
    return dict(scored(cfg, chosen, evaluations.metrics, losses(folder)), earlier_seconds=clock.earlier)


def training_config(request: dict, folder: Path, records: Path) -> tuple[Config, dict]:
    """The config of a cell that trains, with its seed, its rate and its held-out data, and what was chosen for it.

    Args:
        request, folder, records: as of :func:`train_and_score`.
    """
    cfg = config_of_cell(request)
    cfg.work_dir = str(folder)
    check_parts(cfg, ['train_dataloader', 'val_dataloader', 'val_evaluator'])
    if 'held_out' in request:
        # Equal parts have equal paths, by which those who train on them tell that they can share what they read.
        hold_out(cfg, request['held_out'], folder.parent / 'held_out')
    chosen = chosen_factor(request, records) if request.get('sweep') else dict(factor=request.get('factor'))
    if chosen['factor'] is not None:
        scale_rate(cfg, chosen['factor'], request.get('factor_of') or (request.get('sweep') or {}).get('of'))
    cfg.merge_from_dict(dict(randomness=dict(seed=request['seed'])))
    # Compared at equal steps, and what scores a training does not say when it ends.
    cfg.custom_hooks = [hook for hook in cfg.get('custom_hooks') or [] if hook['type'] != 'EarlyStoppingHook']
    return cfg, chosen


def scored(cfg: Config, chosen: dict, metrics: dict[str, float], losses: list[tuple[int, float]]) -> dict:
    """What the record of a training says of it.

    Raises:
        RuntimeError: the evaluation found nothing.
    """
    if not metrics:
        raise RuntimeError(
            'The evaluation found no metrics; a detector that finds nothing at all has none. Train longer, or with '
            'another learning rate.'
        )
    rate = cfg.optim_wrapper.optimizer.lr
    data = {part: content_digest(cfg[f'{part}_dataloader'].dataset, cfg.default_scope) for part in ('train', 'val')}
    return dict(described(cfg), **chosen, learning_rate=rate, metrics=metrics, losses=losses, data=data)


def scale_rate(cfg: Config, factor: float, of: str | None) -> None:
    """Multiply the learning rate of the schedule, which all rates follow, or of the tuning method alone
    (``of='method'``).
    """
    if of == 'method':
        tuning = cfg.model.backbone.tuning
        tuning.lr_mult = tuning.get('lr_mult', 1.0) * factor
    else:
        cfg.optim_wrapper.optimizer.lr *= factor


def described(cfg: Config) -> dict:
    """What of a training its config tells: task, and numbers of parameters."""
    init_default_scope(cfg.default_scope)
    model = MODELS.build(without_pretrained(cfg.copy().model))
    return dict(task=framework_of(cfg).task, parameters=parameter_counts(model))


def logged(folder: Path) -> Iterator[dict]:
    """What a training logged into its work folder, line by line, a resumed one's last: losses, or metrics. A last line
    that a kill cut off is left out.
    """
    for path in sorted(folder.glob('*/vis_data/scalars.json')):
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                yield json.loads(line)
            except ValueError:
                if line.endswith(b'\n'):
                    raise


def losses(folder: Path) -> list[tuple[int, float]]:
    """The curve of the loss by step; where a resumed training repeats steps, the later ones count."""
    curve = {}
    for values in logged(folder):
        if 'loss' in values:
            curve[values['step']] = values['loss']
    return sorted(curve.items())


def chosen_factor(request: dict, records: Path) -> dict:
    """The factor on the learning rate that scored best on the held-out data, and all scores, each the mean over the
    seeds of the sweep. A factor with which a run failed has none, unless it diverged. Of equal ones, and AP has three
    digits, the nearest to 1 counts.

    Raises:
        RuntimeError: no factor has a score.
    """
    factors, cells = request['sweep']['factors'], request['sweep']['cells']
    seeds = len(cells) // len(factors)
    scores: dict[str, float | None] = {}
    for i, factor in enumerate(factors):
        score = sum(_score(records / f'{cell}.json') for cell in cells[i * seeds : (i + 1) * seeds]) / seeds
        scores[f'{factor:g}'] = None if math.isnan(score) else score
    known = {factor: score for factor, score in scores.items() if score is not None}
    if not known:
        raise RuntimeError(
            'No run of the sweep over learning rates has a score, or every factor has one that failed: see the '
            'records named sweep_*.'
        )
    best = max(known, key=lambda factor: (round(known[factor], 6), -abs(math.log(float(factor)))))
    return dict(factor=float(best), sweep_scores=scores)


def _score(path: Path) -> float:
    """Of the record of one run; 0 of one that diverged, which says as much of a rate as any score, and NaN if it failed
    otherwise or there is none.
    """
    record = read_record(path)
    if record is not None and record['failed'] and _DIVERGED.search(str(record['error'][-1:])):
        return 0.0
    return math.nan if record is None or record['failed'] else main_metric(record['metrics'])[1]
