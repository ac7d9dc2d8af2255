"""The learning rates of a training, known beforehand."""

import warnings

import torch
from mmengine.config import Config
from mmengine.registry import PARAM_SCHEDULERS
from torch import Tensor


def schedule_of(cfg: Config, steps: int, epoch_length: int) -> Tensor:
    """Factor on every learning rate at each step, by the config's own schedulers.

    Args:
        cfg: config of the training.
        steps: of the whole training.
        epoch_length: steps of an epoch.

    Raises:
        ValueError: a scheduler steps by epochs, or sets rates whatever they were.
    """
    groups = [dict(params=[torch.zeros(1, requires_grad=True)], lr=lr) for lr in (1.0, 2.0)]
    optimizer = torch.optim.SGD(groups)
    schedulers = []
    for one in cfg.param_scheduler:
        one = dict(one)
        if one.pop('convert_to_iter_based', False):
            kind = PARAM_SCHEDULERS.get(one.pop('type'))
            schedulers.append(kind.build_iter_from_epoch(optimizer=optimizer, epoch_length=epoch_length, **one))
        elif one.get('by_epoch', True):
            raise ValueError(f'Trainings side by side change their rates by steps, but {one["type"]} does by epochs.')
        else:
            schedulers.append(PARAM_SCHEDULERS.build(one, default_args=dict(optimizer=optimizer)))
    factors = []
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # that no step of the optimizer comes in between
        for _ in range(steps):
            one, two = (group['lr'] for group in optimizer.param_groups)
            if abs(two - 2 * one) > 1e-9:
                raise ValueError('Trainings side by side scale all rates alike, but the schedule sets them by itself.')
            factors.append(one)
            for scheduler in schedulers:
                scheduler.step()
    return torch.tensor(factors)
