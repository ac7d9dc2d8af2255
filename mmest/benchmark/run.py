"""Run the cells of a grid, each in a process of its own, one or several at a time."""

import hashlib
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mmest.benchmark import OUTPUT
from mmest.files import write_json

from . import claims
from .cell import Cell
from .done import cells_of_sweep, cells_to_run, is_done, is_settled
from .record import read_record

_SHOWN = 20  # lines of an error that a record keeps: with CUDA the last ones say nothing of where it was
_ROOT = str(Path(__file__).resolve().parents[2])
_RECORDED = 'recorded'  # in the work folder of a cell that has its record
_POLL = 5.0  # seconds between looks at what other runners have done


def run_grid(cells: list[Cell], out: Path, work: Path, console: Console, jobs: int = 1) -> list[str]:
    """Run what has no record yet, or failed, or was asked for otherwise.

    A cell that fails, or is killed, leaves a record that says so, and the next one runs. A training that was cut off
    goes on from its last checkpoint. Cells that another runner has claimed are left to it; this one ends when every
    cell has its record.

    Args:
        cells: of :func:`mmest.benchmark.grid.read_grid`.
        out: folder of the records; several runners may share it.
        work: folder of what is only needed while a cell runs: checkpoints, output.
        console: where to report.
        jobs: cells at a time. Each has its share of the threads and, on CUDA, one of the cards in turn. Cells that
            measure time run alone.

    Returns:
        Names of the cells that failed.
    """
    todo = cells_to_run(cells, out)
    console.print(f'Cells to measure: {len(todo)} of {len(cells)}.')
    with grid_progress(console) as progress:
        return _Grid(todo, out, work, progress, jobs).run()


def grid_progress(console: Console) -> Progress:
    """How far a grid is, and how long it will take."""
    columns = (
        TextColumn('{task.description}', markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn('left:'),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)


class _Job:
    """A cell that runs."""

    def __init__(self, cell: Cell, path: Path, slot: int, process) -> None:
        self.cell, self.path, self.slot, self.process = cell, path, slot, process
        self.started = self.renewed = time.monotonic()


class _Grid:
    """The cells of one run that wait, and those that run."""

    def __init__(self, todo: list[Cell], out: Path, work: Path, progress: Progress, jobs: int) -> None:
        from mmest.measure.environment import commit

        self.waiting, self.running, self.failed = list(todo), [], []
        self.out, self.work, self.jobs = out, work, jobs
        self.sources, self.begun = commit(), time.time()
        self.context, self.cards, self.threads = _context(), visible_cards(), _threads(jobs)
        self.progress, self.bar = progress, progress.add_task('', total=len(todo))

    def run(self) -> list[str]:
        try:
            while self.waiting or self.running:
                while self._start_one():
                    pass
                ended = wait([job.process.sentinel for job in self.running], timeout=_POLL) if self.running else []
                if not self.running and self.waiting:
                    time.sleep(_POLL)  # others have what is left
                for job in [job for job in self.running if job.process.sentinel in ended]:
                    self._end(job)
                self._renew()
        except BaseException:  # interrupted: nothing is left running, and what it claimed is free
            for job in self.running:
                job.process.terminate()
                claims.give_up(job.path)
            raise
        return self.failed

    def _start_one(self) -> bool:
        """Start the first cell that can, or drop one that others have done; whether there was one."""
        for cell in self.waiting:
            path = self.out / f'{cell.name}.json'
            settled = self._settled_by_others(cell, path)
            if settled is not None:
                self.waiting.remove(cell)
                self._report(cell.name, settled, 'another runner')
                return True
            if len(self.running) < self.jobs and self._may_start(cell) and claims.take(path):
                self.waiting.remove(cell)
                if is_settled(path, cell.request):  # by others since the look, or by its sweep
                    claims.give_up(path)
                    self._report(cell.name, json.loads(path.read_text()), 'kept')
                    return True
                self._start(cell, path)
                return True
        return False

    def _settled_by_others(self, cell: Cell, path: Path) -> dict | None:
        """The record that another runner has made of the cell since this one began."""
        if not path.is_file() or path.stat().st_mtime < self.begun or claims.is_taken(path):
            return None
        record = read_record(path)
        return record if record and (record['failed'] or is_done(path, cell.request)) else None

    def _may_start(self, cell: Cell) -> bool:
        if cell.kind == 'time' and self.running or any(job.cell.kind == 'time' for job in self.running):
            return False  # times are measured on a machine that does nothing else
        unsettled = {other.name for other in (*self.waiting, *(job.cell for job in self.running))}
        return not cells_of_sweep(cell) & unsettled

    def _start(self, cell: Cell, path: Path) -> None:
        slot = min(set(range(self.jobs)) - {job.slot for job in self.running})
        folder = work_folder(cell, self.work)
        process = self.context.Process(target=_run, args=(cell, path, folder, self.sources, self.threads))
        with _seen_card(self.cards[slot % len(self.cards)] if self.cards else None):
            process.start()
        self.running.append(_Job(cell, path, slot, process))
        self._describe()

    def _end(self, job: _Job) -> None:
        job.process.join()
        self.running.remove(job)
        code = job.process.exitcode
        try:
            if code != 0:
                write_record(job.path, job.cell, self.sources, job.started, failed=True, error=[_end_of(code)])
        finally:
            claims.give_up(job.path)
        self._report(job.cell.name, json.loads(job.path.read_text()), f'{time.monotonic() - job.started:.0f} s')

    def _report(self, name: str, record: dict, note: str) -> None:
        if record['failed']:
            self.failed.append(name)
        self.progress.console.print(
            f'{name}: {"failed: " + record["error"][-1] if record["failed"] else "done"} ({note})',
            markup=False,
            highlight=False,
        )
        self.progress.advance(self.bar)
        self._describe()

    def _describe(self) -> None:
        names = [job.cell.name for job in self.running]
        more = f' and {len(names) - 1} more' if len(names) > 1 else ''
        self.progress.update(self.bar, description=f'{names[0] if names else ""}{more}')

    def _renew(self) -> None:
        for job in list(self.running):
            if time.monotonic() - job.renewed > claims.RENEW:
                job.renewed = time.monotonic()
                if not claims.renew(job.path):
                    self._leave(job)

    def _leave(self, job: _Job) -> None:
        """Leave a cell to the runner that has taken it over; it waits for that one's record."""
        job.process.terminate()
        job.process.join()
        self.running.remove(job)
        self.waiting.append(job.cell)
        self._describe()


def _context():
    """How processes are made: where there is CUDA each from nothing, as CUDA does not survive a fork; elsewhere from
    one that has imported all once.
    """
    import torch

    if torch.cuda.is_available():
        return multiprocessing.get_context('spawn')
    context = multiprocessing.get_context('forkserver')
    # What is not installed is passed over.
    context.set_forkserver_preload(
        [
            'mmest.benchmark.training',
            'mmest.benchmark.training_step',
            'mmest.benchmark.trials.trial',
            'mmdet.datasets',
            'mmdet.models',
            'mmseg.datasets',
            'mmseg.models',
        ]
    )
    return context


def visible_cards() -> list[str]:
    """The cards that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    seen = os.environ.get('CUDA_VISIBLE_DEVICES')
    return seen.split(',') if seen else [str(i) for i in range(torch.cuda.device_count())]


def _threads(jobs: int) -> int:
    import torch

    return max(1, torch.get_num_threads() // jobs)


@contextmanager
def _seen_card(card: str | None):
    """A process started meanwhile sees this card alone."""
    before = os.environ.get('CUDA_VISIBLE_DEVICES')
    if card is not None:
        os.environ['CUDA_VISIBLE_DEVICES'] = card
    try:
        yield
    finally:
        if card is not None:
            os.environ.pop('CUDA_VISIBLE_DEVICES') if before is None else os.environ.update(CUDA_VISIBLE_DEVICES=before)


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


def _end_of(exitcode: int) -> str:
    if exitcode == -signal.SIGKILL:
        return 'The process was killed, most likely because the machine ran out of memory.'
    return f'The process ended with code {exitcode}.'


def _run(cell: Cell, path: Path, folder: Path, sources, threads: int) -> None:
    """In the process of a cell: measure, and write the record."""
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
