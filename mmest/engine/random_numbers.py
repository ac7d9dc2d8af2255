"""Random numbers of a training, and of the processes that load its data."""

from functools import partial

import torch
from mmengine.dataset import worker_init_fn
from mmengine.dist import get_rank
from mmengine.runner import Runner, set_random_seed
from torch.utils.data import DataLoader

# A prime apart from the numbers of iterations, workers and seeds, so that ranks and epochs draw different numbers.
_STEP = 1_000_003


def reseed_epoch(runner: Runner) -> None:
    """Make the random numbers of an epoch's data depend on the seed, the epoch and the rank alone.

    Only for training by epochs: training by iterations replays the data from its start when it resumes.
    """
    set_random_seed((runner.seed + _STEP * (runner.epoch + 1) + get_rank()) % 2**32)


def reseed_iteration(runner: Runner) -> None:
    """Make the random numbers of a training step (dropout, sampled anchors) depend on the seed, the iteration and the
    rank alone.
    """
    torch.manual_seed((runner.seed + _STEP * (runner.iter + 1) + get_rank()) % 2**63)


def reseed_workers(loader: DataLoader, seed: int, epoch: int) -> None:
    """Have the workers that a loader starts for an epoch draw other numbers than those of the epochs before: mmengine's
    start from the seed of the training each time.

    Args:
        loader: made by mmengine; one with a ``worker_init_fn`` of its own, or without a seed, is left as it is.
        seed: of the training.
        epoch: counted from 0, whose numbers are mmengine's.
    """
    start = loader.worker_init_fn
    if isinstance(start, partial) and start.func is worker_init_fn:
        loader.worker_init_fn = partial(start, seed=(seed + _STEP * epoch) % 2**31)
