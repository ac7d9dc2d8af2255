"""A work folder is of one training: it holds the files of no other, and no other writes there meanwhile."""

import errno
import fcntl
import os
import re
import shutil
from pathlib import Path
from typing import TextIO

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmest.config_parts import parts_of
from mmest.datasets.own.results import TRAINING_LOCK

_held: dict[Path, TextIO] = {}


class FolderInUse(ValueError):
    """Another training runs in a work folder; the message says so in a sentence."""


def hold(work_dir: str | Path, wait: bool = False) -> None:
    """Have a work folder for the trainings of this process alone, until :func:`let_go` or the end of the process,
    however that comes.

    Of several processes the first has it. A folder that is not there yet is not held, and neither is one that
    nothing can be written to, or whose file system knows no locks.

    Args:
        work_dir: the folder.
        wait: until another process that has it lets go, in place of refusing.

    Raises:
        FolderInUse: another process has it.
    """
    folder = Path(work_dir).resolve()
    if not is_main_process() or folder in _held:
        return
    try:
        file = (folder / TRAINING_LOCK).open('a')
    except OSError:
        return
    try:
        # Not flock: the processes that load data, which are forked, would have it too, and outlive one that is killed.
        fcntl.lockf(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        file.close()
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise FolderInUse(
                f'Another training runs in {work_dir}: both would write to the same files. Take another --work-dir, or '
                'wait for its end.'
            ) from error
        return
    _held[folder] = file


def let_go(work_dir: str | Path) -> None:
    """Leave a work folder to others, if it is held."""
    file = _held.pop(Path(work_dir).resolve(), None)
    if file is not None:
        file.close()


def refuse_earlier_run(work_dir: str | Path) -> None:
    """A new run does not start in a folder that holds another. Of several processes the first looks.

    Raises:
        ValueError: it holds one.
    """
    found = _checkpoints(work_dir)
    if found and is_main_process():
        more = f' and {len(found) - 3} more' if len(found) > 3 else ''
        raise ValueError(
            f'{work_dir} holds another run: {", ".join(path.name for path in found[:3])}{more}. Go on with it by '
            '--resume, take another --work-dir, or pass --overwrite to remove these files and the logs of that run.'
        )


def refuse_to_remove_the_start(cfg: Config) -> None:
    """What a training starts from is not among what :class:`RemoveEarlierRun` removes. Of several processes the first
    looks.

    Raises:
        ValueError: ``load_from`` or a pretrained file is.
    """
    removed = {path.resolve() for path in (*_checkpoints(cfg.work_dir), *_logs(cfg.work_dir))}
    values = [cfg.get('load_from'), *(value for _, part in parts_of(cfg.model) for value in part.values())]
    files = [value for value in values if isinstance(value, str) and os.path.isfile(os.path.expanduser(value))]
    for value in files if is_main_process() else ():
        path = Path(value).expanduser().resolve()
        if removed.intersection((path, *path.parents)):
            raise ValueError(
                f'The training starts from {value}, which --overwrite would remove. Take another --work-dir, or move '
                'that file to another folder.'
            )


class RemoveEarlierRun(Hook):
    """Removes the checkpoints and logs that another run has left in the work folder. Its configs stay, for the new run
    may be of one of them.

    It comes last of all that happens before the first step: what is refused until then costs nothing.
    """

    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        if not is_main_process():
            return
        for path in _checkpoints(runner.work_dir):
            path.unlink()
        for logs in _logs(runner.work_dir):
            if logs.name != runner.timestamp:
                shutil.rmtree(logs)


def numbered_checkpoints(work_dir: str | Path) -> list[Path]:
    """What a training saves as it goes, but not iter_250_whole.pth and the like, which tools and people put beside."""
    return _named(work_dir, r'(epoch|iter)_\d+')


def best_checkpoints(work_dir: str | Path) -> list[Path]:
    """What a training keeps as the best by a metric, but not what was exported from it."""
    return _named(work_dir, r'best_.+_(epoch|iter)_\d+')


def _named(work_dir: str | Path, stem: str) -> list[Path]:
    return [path for path in Path(work_dir).glob('*.pth') if re.fullmatch(stem, path.stem)]


def _checkpoints(work_dir: str | Path) -> list[Path]:
    """What a run has left in a folder that a new one there would mix with its own: checkpoints and their marker."""
    found = [*numbered_checkpoints(work_dir), *best_checkpoints(work_dir)]
    return sorted(found) + [path for path in [Path(work_dir, 'last_checkpoint')] if path.is_file()]


def _logs(work_dir: str | Path) -> list[Path]:
    """The folders of what runs logged: mmengine calls them so, and cameras their folders."""
    return [
        path
        for path in Path(work_dir).glob('*_*')
        if re.fullmatch(r'\d{8}_\d{6}', path.name)
        and not path.is_symlink()
        and ((path / 'vis_data').is_dir() or any(path.glob(f'{path.name}*.log')))
    ]
