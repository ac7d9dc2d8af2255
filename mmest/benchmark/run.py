"""Run the cells of a grid, each in a process of its own, one or several at a time."""

import json
import multiprocessing
import os
import signal
import time
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from . import claims
from .cell import Cell
from .done import cells_of_sweep, cells_to_run, is_done, is_settled
from .measuring import measure_in_process, work_folder, write_record
from .record import read_record

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
        process = self.context.Process(target=measure_in_process, args=(cell, path, folder, self.sources, self.threads))
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


def _end_of(exitcode: int) -> str:
    if exitcode == -signal.SIGKILL:
        return 'The process was killed, most likely because the machine ran out of memory.'
    return f'The process ended with code {exitcode}.'
