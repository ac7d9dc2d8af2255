"""One trial: train and score on cached views."""

import random
import time
from itertools import count
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from mmest.backbones import TunedBackbone
from mmest.configs import check_parts
from mmest.frameworks import framework_of
from mmest.measure.parameters import parameter_counts

from ..config_text import config_of_cell
from ..held_out import hold_out
from ..training import scale_rate
from .cache import cached_views
from .replay import Replay

#: What every trial says of itself.
NOTE = (
    'A trial, not a record: a finite set of views, backbone outputs kept in 16 bits, scored on a part of the training '
    'images that is held out.'
)
WARM_UP = 0.1  # of the steps
_EVERY = 20  # steps between two kept losses


def run_trial(request: dict, folder: Path) -> dict:
    """Train and score one method on the cached views of a data set.

    Args:
        request: of a trial cell.
        folder: its work folder; the cache lies beside it, for all trials.
    """
    cfg = config_of_cell(request)
    check_parts(cfg, ['train_dataloader', 'val_dataloader', 'val_evaluator', 'optim_wrapper'])
    init_default_scope(cfg.default_scope)
    hold_out(cfg, request['held_out'], folder.parent / 'held_out')
    scale_rate(cfg, request['factor'], request['factor_of'])
    views = cached_views(cfg, request['views'], folder.parent / 'trial_views')
    _seed(request['seed'])
    model = MODELS.build(cfg.model)
    model.init_weights()
    parameters = parameter_counts(model)
    tuned = model.backbone
    replays = plays_back(tuned)
    if replays:
        model.backbone = Replay(tuned)
    started = time.monotonic()
    losses = _train(model, cfg, views['train'], request, replays)
    seconds = time.monotonic() - started
    return dict(
        note=NOTE,
        task=framework_of(cfg).task,
        parameters=parameters,
        learning_rate=cfg.optim_wrapper.optimizer.lr,
        metrics=_score(model, cfg, views['val'], replays),
        losses=losses,
        training_seconds=round(seconds, 1),
        images=dict(train=len(views['train']['samples']) // request['views'], val=len(views['val']['samples'])),
        backbone_ran=not replays,
    )


def plays_back(tuned: TunedBackbone) -> bool:
    """Whether a method needs no more of the backbone than what it returned once."""
    return tuned.is_frozen and tuned.method.reads_taps_alone


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _train(model: nn.Module, cfg: Config, part: dict, request: dict, replays: bool) -> list[tuple[int, float]]:
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    steps, warm_up = request['steps'], max(1, int(WARM_UP * request['steps']))

    def factor(step: int) -> float:  # of the rate: a straight rise, then a half wave of a cosine
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + np.cos(np.pi * (step - warm_up) / (steps - warm_up)))

    schedule = torch.optim.lr_scheduler.LambdaLR(optim_wrapper.optimizer, factor)
    order = _batches(len(part['samples']), request['batch_size'], request['seed'])
    model.train()
    kept = []
    for step, chosen in zip(range(steps), order):
        data = model.data_preprocessor(pseudo_collate([part['samples'][i] for i in chosen]), True)
        _thin_labels(data['data_samples'], request['label_stride'])
        if replays:
            model.backbone.give([[part['calls'][i][0] for i in chosen]])
        loss, _ = model.parse_losses(model(**data, mode='loss'))
        if not torch.isfinite(loss):
            raise RuntimeError(f'The loss is {loss.item()} at step {step + 1}.')
        optim_wrapper.update_params(loss)
        schedule.step()
        if (step + 1) % _EVERY == 0:
            kept.append((step + 1, loss.item()))
    return kept


def _thin_labels(samples: list, stride: int) -> None:
    """Keep every n-th row and column of the masks: the loss is taken at their size, and costs most of a step."""
    for sample in samples if stride > 1 else ():
        mask = sample.gt_sem_seg.data
        sample.gt_sem_seg = type(sample.gt_sem_seg)(data=mask[..., stride // 2 :: stride, stride // 2 :: stride])


def _batches(samples: int, batch_size: int, seed: int):
    """Batches of indices without end, each sample once before any comes again."""
    rng = np.random.default_rng(seed)
    for _ in count():
        order = rng.permutation(samples)
        yield from (order[i : i + batch_size].tolist() for i in range(0, samples - batch_size + 1, batch_size))


@torch.no_grad()
def _score(model: nn.Module, cfg: Config, part: dict, replays: bool) -> dict[str, float]:
    evaluators = cfg.val_evaluator
    evaluator = Evaluator(evaluators if isinstance(evaluators, (list, tuple)) else [evaluators])
    evaluator.dataset_meta = part['metainfo']
    model.eval()
    for sample, calls in zip(part['samples'], part['calls']):
        batch = pseudo_collate([sample])
        data = model.data_preprocessor(batch, False)
        if replays:
            model.backbone.give([[call] for call in calls])
        evaluator.process(data_samples=model(**data, mode='predict'), data_batch=batch)
    metrics = evaluator.evaluate(len(part['samples']))
    return {name: float(value) for name, value in metrics.items()}
