"""All trainings of one method, one after another, through one model that stays on the device."""

import statistics
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from mmengine.runner import set_random_seed
from torch import nn

from mmest.benchmark.cell import Cell
from mmest.benchmark.training import scored
from mmest.datasets.class_weights import count_ignored_pixels

from .batches import Batches
from .config import config_of
from .evaluation import Evaluations
from .schedule import schedule_of
from .step import TrainingStep, refuse_what_a_runner_would_do


class Lane:
    """A model and what it trains.

    Args:
        batches: on the device. Those of a training are there when it begins, as many as it has steps.
        evaluations: shared with other lanes.
    """

    def __init__(self, batches: Batches, evaluations: Evaluations) -> None:
        self.batches, self.evaluations = batches, evaluations
        self.step: TrainingStep | None = None

    def begin(self, cell: Cell, steps: int, epoch: int, folder: Path, records: Path) -> None:
        """Make ready for the first step of a cell's training. If that fails, the next one begins with another model."""
        self.cfg, self.chosen = config_of(cell.request, folder, records)
        refuse_what_a_runner_would_do(self.cfg)
        set_random_seed(self.cfg.randomness.seed)
        fresh = MODELS.build(self.cfg.model)
        count_ignored_pixels(fresh)
        fresh.init_weights()
        groups = _groups(self.cfg, fresh)
        self.weights = {name: value.detach().clone() for name, value in fresh.state_dict().items()}
        if self.step is None:
            self.names = [group.names for group in groups]
            model = fresh.to(self.batches['images'].device)
            parameters = dict(model.named_parameters())
            self.step = TrainingStep(
                self.cfg,
                model,
                [dict(params=[parameters[n] for n in g.names], weight_decay=g.weight_decay) for g in groups],
                self.batches,
            )
        self.steps = steps
        rates = {name: group.rate for group in groups for name in group.names}
        self.rates = [rates[names[0]] for names in self.names]
        try:
            self.step.start(self.weights, self.rates, schedule_of(self.cfg, steps, epoch))
        except Exception:
            self.step = None  # a stream whose capture broke takes no other
            raise

    def end(self) -> dict:
        """Evaluate; what the record of the training says of it.

        Raises:
            RuntimeError: the loss, or a frozen tensor, is not what it has to be.
        """
        if self.step.stream:
            self.step.stream.synchronize()
        losses = self.step.losses[: self.steps].tolist()
        if not all(torch.tensor(losses).isfinite()):
            raise RuntimeError('The loss became infinite or NaN.')
        self._check_frozen()
        metrics = self.evaluations(self.cfg, self.step.model)
        # As a runner logs them: the means of what came before.
        every, window = self.cfg.default_hooks.logger.interval, self.cfg.log_processor.get('window_size', 10)
        curve = [(i, statistics.fmean(losses[max(0, i - window) : i])) for i in range(every, self.steps + 1, every)]
        return scored(self.cfg, self.chosen, metrics, curve)

    def _check_frozen(self) -> None:
        for name, value in self.step.model.backbone.frozen_state():
            if not torch.equal(value.cpu(), self.weights[f'backbone.backbone.{name}']):
                raise RuntimeError(f'The frozen tensor {name} has changed.')


@dataclass
class _Group:
    names: list[str]
    rate: float
    weight_decay: float


def _groups(cfg: Config, model: nn.Module) -> list[_Group]:
    """Parameters by their rate and weight decay, as the config's optimizer has them, those of the backbone apart: their
    rate is what a sweep changes.
    """
    names = {id(p): name for name, p in model.named_parameters()}
    groups = []
    for group in build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups:
        for inside in (True, False):
            some = [names[id(p)] for p in group['params'] if names[id(p)].startswith('backbone.') == inside]
            if some:
                groups.append(_Group(some, group['lr'], group['weight_decay']))
    return groups
