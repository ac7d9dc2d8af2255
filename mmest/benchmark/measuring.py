"""Measure one cell, in a process of its own, and write its record."""

import hashlib
import json
import multiprocessing
import os
import sys
import threading
import time
import traceback
from pathlib import Path

from mmest.benchmark import OUTPUT
from mmest.files import write_json

from .cell import Cell
from .done import is_done

_SHOWN = 20  # lines of an error that a record keeps: with CUDA the last ones say nothing of where it was
_ROOT = str(Path(__file__).resolve().parents[2])
_RECORDED = 'recorded'  # in the work folder of a cell that has its record


def work_folder(cell: Cell, work: Path) -> Path:
    """Where a cell works, below ``work``. A training never goes on from a checkpoint of another request."""
    return work / f'{cell.name}_{hashlib.sha256(json.dumps(cell.request, sort_keys=True).encode()).hexdigest()[:8]}'


def resumed_from(cell: Cell, work: Path) -> Path | None:
    """The checkpoint that a training goes on from, which was cut off; None where it begins."""
    from mmest.engine.resume import latest_complete_checkpoint

    folder = work_folder(cell, work)
    return None if (folder / _RECORDED).exists() else latest_complete_checkpoint(folder)


def write_record(path: Path, cell: Cell, sources: str | None, started: float, **result) -> None:
    """Write the record of a cell that was begun at ``started`` by the monotonic clock."""
    write_json(
        path,
        dict(
            name=cell.name,
            **{**cell.request, **result},
            commit=sources,
            wall_seconds=round(time.monotonic() - started, 1),
        ),
    )


def measure_in_process(cell: Cell, path: Path, folder: Path, sources: str | None, threads: int) -> None:
    """What the process of a cell does: measure, and write the record. What it prints goes to a file."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    folder.mkdir(parents=True, exist_ok=True)
    output = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    import torch

    torch.set_num_threads(threads)
    measure(cell, path, folder, sources)


def measure(cell: Cell, path: Path, folder: Path, sources: str | None) -> None:
    """Measure a cell in this process and write its record, when no other works in its folder; one that is done by then
    is left.

    Args:
        cell: what to measure.
        path: of the record.
        folder: work folder of the cell.
        sources: commit of mmest.
    """
    from mmest.engine.work_folder import hold, let_go

    # A claim says nothing to those with another folder of records, and one that sleeps too long loses it while it runs.
    hold(folder, wait=True)
    try:
        if not is_done(path, cell.request):  # by the one that had the folder
            _measure(cell, path, folder, sources)
    finally:
        let_go(folder)


def _measure(cell: Cell, path: Path, folder: Path, sources: str | None) -> None:
    from mmest.measure.environment import environment

    from .training import train_and_score
    from .training_step import measure_largest_batch, measure_memory, measure_time
    from .trials.trial import run_trial

    measures = dict(memory=measure_memory, time=measure_time, largest_batch=measure_largest_batch, trial=run_trial)
    started = time.monotonic()
    _forget_recorded(folder)
    try:
        if cell.kind in measures:
            result = measures[cell.kind](cell.request, folder)
        else:
            result = train_and_score(cell.request, folder, path.parent)
            started -= result.pop('earlier_seconds')
        result.update(environment(cell.device), failed=False)
    except Exception as error:  # whatever a method, a config or a library does: the record says it, the grid goes on
        traceback.print_exc()
        result = failure(error)
    write_record(path, cell, sources, started, **result)
    if not result['failed']:
        (folder / _RECORDED).touch()


def _forget_recorded(folder: Path) -> None:
    """Have a cell begin anew whose record was there and is gone: a training that went on from its last checkpoint would
    only be scored once more.
    """
    if (folder / _RECORDED).exists():
        for path in (folder / _RECORDED, *folder.glob('*.pth')):
            path.unlink()


def failure(error: Exception) -> dict:
    """What a record says of a cell that failed. Files are named as from the folder they were imported from: where that
    lies says something of the machine and nothing of the failure.
    """
    text = ''.join(traceback.format_exception(error)).strip()
    for folder in sorted({*filter(None, sys.path), _ROOT}, key=len, reverse=True):
        text = text.replace(f'File "{folder.rstrip(os.sep)}{os.sep}', 'File "')
    return dict(failed=True, error=text.splitlines()[-_SHOWN:])


def end_with_parent() -> None:
    """A grid that is killed must not leave a cell running beside the one that resumes it."""
    multiprocessing.parent_process().join()
    os._exit(1)
