"""Resuming to the same losses as a run that was never interrupted."""

import re
from pathlib import Path

import torch
from mmengine.dist import get_rank
from mmengine.runner import Runner, set_random_seed

from mmest.checkpoints.files import is_complete

# A prime apart from iteration numbers, so that ranks and epochs draw different numbers.
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


def latest_complete_checkpoint(work_dir: str | Path) -> Path | None:
    """The checkpoint to resume from: the one that ``last_checkpoint`` names if it is whole, else the newest whole
    one.
    """
    work_dir = Path(work_dir)
    marker = work_dir / 'last_checkpoint'
    if marker.is_file():
        named = Path(marker.read_text().strip())
        for path in (named, work_dir / named.name):  # the folder may have been moved
            if path.is_file() and is_complete(path):
                return path
    # Not iter_250_whole.pth and the like, which tools and people put beside: they lack the optimizer.
    numbered = [path for path in work_dir.glob('*.pth') if re.fullmatch(r'(epoch|iter)_\d+', path.stem)]
    complete = [path for path in numbered if is_complete(path)]
    return max(complete, key=lambda path: path.stat().st_mtime, default=None)
