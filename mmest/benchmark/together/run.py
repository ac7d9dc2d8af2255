"""Run the trainings of a grid side by side."""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from itertools import cycle
from pathlib import Path
from typing import Any

from rich.console import Console

from mmest.benchmark import OUTPUT
from mmest.benchmark.cell import Cell
from mmest.benchmark.done import cells_of_sweep, cells_to_run
from mmest.benchmark.measuring import end_with_parent
from mmest.benchmark.record import read_record
from mmest.benchmark.run import grid_progress, visible_cards

TRAINS = ('sweep', 'accuracy')
_POLL = 2.0  # seconds between looks at what has been written


def run_together(cells: Sequence[Cell], out: Path, work: Path, console: Console, jobs: int, together: int) -> list[str]:
    """Train what has no record yet.

    Args:
        cells: of a grid; those that do not train are left alone.
        out: folder of the records; several runners may share it.
        work: folder of batches and output.
        console: where to report.
        jobs: processes; each has one of the cards in turn.
        together: models side by side in each.

    Returns:
        Names of the cells that failed.

    Raises:
        BrokenProcessPool: a process was killed.
    """
    trained = [cell for cell in cells if cell.kind in TRAINS]
    todo = cells_to_run(trained, out)
    console.print(f'Trainings: {len(todo)} of {len(trained)}.')
    failed = []
    with grid_progress(console) as progress:
        bar = progress.add_task('trainings', total=len(todo))
        for name, record in _records(todo, out, work, jobs, together):
            if record['failed']:
                failed.append(name)
            progress.console.print(
                f'{name}: {"failed: " + record["error"][-1] if record["failed"] else "done"}',
                markup=False,
                highlight=False,
            )
            progress.advance(bar)
    return failed


def _records(
    todo: Sequence[Cell], out: Path, work: Path, jobs: int, together: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and record of each cell, as soon as it is written."""
    from mmest.measure.environment import commit

    begun, sources, context = time.time(), commit(), multiprocessing.get_context('spawn')
    threads = max(1, (os.cpu_count() or 1) // jobs)
    unsettled = {cell.name: out / f'{cell.name}.json' for cell in todo}
    cards = context.SimpleQueue()
    for _, card in zip(range(jobs), cycle(visible_cards())):
        cards.put(card)
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(threads, str(work), cards))
    try:
        for cell in _one_of_each_data(todo):
            pool.submit(_make_batches, cell, out, work)
        waiting, running = list(_series(todo)), set()
        while waiting or running:
            ready = [series for series in waiting if not _needed(series) & unsettled.keys()]
            for bundle in _bundles(ready, together):
                running.add(pool.submit(_train, bundle, out, work, sources))
                waiting = [series for series in waiting if series not in bundle]
            if not running:
                time.sleep(_POLL)  # others have what these wait for
            ended, running = wait(running, timeout=_POLL, return_when=FIRST_COMPLETED)
            for name, path in list(unsettled.items()):
                if path.is_file() and path.stat().st_mtime >= begun and (record := read_record(path)):
                    del unsettled[name]
                    yield name, record
            for future in ended:
                future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()


def _series(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Cells of the same model, in order: a sweep, and the trainings at the rate that it chose."""
    by_model: dict[str, list[Cell]] = {}
    for cell in cells:
        by_model.setdefault(cell.request['config_text'], []).append(cell)
    yield from by_model.values()


def _needed(series: Sequence[Cell]) -> set[str]:
    """Cells of other series that these wait for."""
    needed = set().union(*map(cells_of_sweep, series))
    return needed - {cell.name for cell in series}


def _bundles(ready: Sequence[list[Cell]], together: int) -> Iterator[list[list[Cell]]]:
    """Series on the same data, so many at a time."""
    by_data: dict[Path, list[list[Cell]]] = {}
    for series in ready:
        by_data.setdefault(_data_of(series[0]), []).append(series)
    for series in by_data.values():
        for start in range(0, len(series), together):
            yield series[start : start + together]


def _data_of(cell: Cell) -> Path:
    return Path(cell.request['config']).parent


def _one_of_each_data(cells: Sequence[Cell]) -> Iterator[Cell]:
    """Cells whose batches, made beforehand in all processes, are most likely those of the others."""
    seen = set()
    for cell in cells:
        key = (_data_of(cell), cell.request['seed'], str(cell.request.get('held_out')))
        if key not in seen:
            seen.add(key)
            yield cell


def _begin(threads: int, work: str, cards: Any) -> None:
    _take_card(cards)
    import torch
    from mmengine.logging import MMLogger
    from mmengine.utils.dl_utils import set_multi_processing

    threading.Thread(target=end_with_parent, daemon=True).start()
    Path(work).mkdir(parents=True, exist_ok=True)
    output = os.open(Path(work, f'{os.getpid()}_{OUTPUT}'), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # As a runner has it. In a process that was spawned, each worker of a loader would import all anew.
    set_multi_processing('fork', opencv_num_threads=0)
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = True
    MMLogger.get_current_instance().setLevel('ERROR')


def _take_card(cards: Any) -> None:
    """Have this process see the next card of a queue alone; all where the queue is empty. Before anything uses CUDA."""
    if not cards.empty():
        os.environ['CUDA_VISIBLE_DEVICES'] = cards.get()


def _make_batches(cell: Cell, out: Path, work: Path) -> None:
    from .bundle import make_batches

    make_batches(cell, out, work)


def _train(bundle: list[list[Cell]], out: Path, work: Path, sources: str | None) -> None:
    from .bundle import train_bundle

    train_bundle(bundle, out, work, sources)
