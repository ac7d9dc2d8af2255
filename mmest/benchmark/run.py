"""Run the cells of a grid one after the other, each in a process of its own."""

import hashlib
import json
import multiprocessing
import os
import signal
import threading
import time
import traceback
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mmest.benchmark import OUTPUT
from mmest.files import write_json

from .grid import Cell

_SHOWN = 5  # lines of an error that a record keeps


def is_done(path: Path, request: dict) -> bool:
    """Whether there is a record of a cell that did not fail and was asked for exactly this."""
    if not path.is_file():
        return False
    record = json.loads(path.read_text())
    return not record['failed'] and all(record.get(key) == value for key, value in request.items())


def run_grid(cells: list[Cell], out: Path, work: Path, console: Console) -> list[str]:
    """Run what has no record yet, or failed, or was asked for otherwise.

    A cell that fails, or is killed, leaves a record that says so, and the next one runs. A training that was cut off
    goes on from its last checkpoint.

    Args:
        cells: of :func:`mmest.benchmark.grid.read_grid`.
        out: folder of the records.
        work: folder of what is only needed while a cell runs: checkpoints, output.
        console: where to report.

    Returns:
        Names of the cells that failed.
    """
    from mmest.measure.environment import commit

    todo = [cell for cell in cells if not is_done(out / f'{cell.name}.json', cell.request)]
    console.print(f'Cells to measure: {len(todo)} of {len(cells)}.')
    context = multiprocessing.get_context('forkserver')
    # Imported once, for all cells; what is not installed is passed over.
    context.set_forkserver_preload(
        [
            'mmest.benchmark.training',
            'mmest.benchmark.training_step',
            'mmdet.datasets',
            'mmdet.models',
            'mmseg.datasets',
            'mmseg.models',
        ]
    )
    sources, failed = commit(), []
    columns = (
        TextColumn('{task.description}', markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn('left:'),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task('', total=len(todo))
        for cell in todo:
            progress.update(bar, description=cell.name)
            path, folder = out / f'{cell.name}.json', work / f'{cell.name}_{_digest(cell.request)}'
            started = time.monotonic()
            process = context.Process(target=_run, args=(cell, path, folder, sources))
            process.start()
            try:
                process.join()
            except KeyboardInterrupt:
                process.terminate()
                raise
            if process.exitcode != 0:
                _write(path, cell, sources, started, failed=True, error=[_end_of(process.exitcode)])
            record = json.loads(path.read_text())
            if record['failed']:
                failed.append(cell.name)
            seconds = time.monotonic() - started
            console.print(
                f'{cell.name}: {"failed: " + record["error"][-1] if record["failed"] else "done"} ({seconds:.0f} s)',
                markup=False,
                highlight=False,
            )
            progress.advance(bar)
    return failed


def _digest(request: dict) -> str:
    """So that a training never goes on from a checkpoint of another request."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:8]


def _write(path: Path, cell: Cell, sources, started: float, **result) -> None:
    write_json(
        path,
        dict(
            name=cell.name,
            **{**cell.request, **result},
            commit=sources,
            wall_seconds=round(time.monotonic() - started, 1),
        ),
    )


def _end_of(exitcode: int) -> str:
    if exitcode == -signal.SIGKILL:
        return 'The process was killed, most likely because the machine ran out of memory.'
    return f'The process ended with code {exitcode}.'


def _run(cell: Cell, path: Path, folder: Path, sources) -> None:
    """In the process of a cell: measure, and write the record."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder.mkdir(parents=True, exist_ok=True)
    output = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    from mmest.measure.environment import environment

    from .training import train_and_score
    from .training_step import measure_largest_batch, measure_memory, measure_time
    from .trials.trial import run_trial

    measures = dict(memory=measure_memory, time=measure_time, largest_batch=measure_largest_batch, trial=run_trial)
    started = time.monotonic()
    try:
        if cell.kind in measures:
            result = measures[cell.kind](cell.request, folder)
        else:
            result = train_and_score(cell.request, folder, path.parent)
        result.update(environment(cell.request.get('device') or _training_device()), failed=False)
    except Exception as error:  # whatever a method, a config or a library does: the record says it, the grid goes on
        traceback.print_exc()
        lines = traceback.format_exception(error)
        result = dict(failed=True, error=''.join(lines).strip().splitlines()[-_SHOWN:])
    _write(path, cell, sources, started, **result)


def _training_device() -> str:
    from mmengine.device import get_device

    return get_device()


def _end_with_parent() -> None:
    """A grid that is killed must not leave a cell running beside the one that resumes it."""
    multiprocessing.parent_process().join()
    os._exit(1)
