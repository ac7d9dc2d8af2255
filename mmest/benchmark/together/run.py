"""Run the trainings of a grid side by side."""

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

from rich.console import Console

from mmest.benchmark import OUTPUT
from mmest.benchmark.grid import Cell
from mmest.benchmark.run import grid_progress, is_done

TRAINS = ('sweep', 'accuracy')


def run_together(cells: Sequence[Cell], out: Path, work: Path, console: Console, jobs: int, together: int) -> list[str]:
    """Train what has no record yet.

    Args:
        cells: those of a grid that train; others are left alone.
        out: folder of the records.
        work: folder of batches and output.
        console: where to report.
        jobs: processes. Each has a card's stream of kernels to itself while it is its turn.
        together: models side by side in a process.

    Returns:
        Names of the cells that failed.
    """
    todo = [cell for cell in cells if cell.kind in TRAINS and not is_done(out / f'{cell.name}.json', cell.request)]
    console.print(f'Trainings: {len(todo)} of {sum(cell.kind in TRAINS for cell in cells)}.')
    with grid_progress(console) as progress:
        bar, failed = progress.add_task('trainings', total=len(todo)), []
        for names, lost in _results(todo, out, work, jobs, together):
            failed += lost
            for name in names:
                progress.console.print(f'{name}: {"failed" if name in lost else "done"}', markup=False, highlight=False)
            progress.advance(bar, len(names))
    return failed


def _results(
    todo: Sequence[Cell], out: Path, work: Path, jobs: int, together: int
) -> Iterator[tuple[list[str], list[str]]]:
    """Names of the cells of each bundle that has ended, and of those of them that failed."""
    from mmest.measure.environment import commit

    sources, context = commit(), multiprocessing.get_context('spawn')
    threads = max(1, (os.cpu_count() or 1) // jobs)
    with ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(threads, str(work))) as pool:
        for cell in _one_of_each_data(todo):
            pool.submit(_make_batches, cell, out, work)
        waiting, running = list(_series(todo)), {}
        while waiting or running:
            unsettled = {cell.name for series in (*waiting, *sum(running.values(), [])) for cell in series}
            ready = [series for series in waiting if not _needed(series) & unsettled]
            for bundle in _bundles(ready, together):
                running[pool.submit(_train, bundle, out, work, sources)] = bundle
                waiting = [series for series in waiting if series not in bundle]
            ended: Iterable[Future] = wait(running, return_when=FIRST_COMPLETED).done
            for future in ended:
                names = [cell.name for series in running.pop(future) for cell in series]
                yield names, future.result()


def _series(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Cells of the same model, in order: a sweep, and the trainings at the rate that it chose."""
    by_model: dict[tuple, list[Cell]] = {}
    for cell in cells:
        by_model.setdefault((cell.request['config_text'], cell.request['variant']), []).append(cell)
    yield from by_model.values()


def _needed(series: Sequence[Cell]) -> set[str]:
    """Cells of other series that these wait for."""
    needed = {name for cell in series for name in (cell.request.get('sweep') or {}).get('cells', ())}
    return needed - {cell.name for cell in series}


def _bundles(ready: Sequence[list[Cell]], together: int) -> Iterator[list[list[Cell]]]:
    by_data: dict[Path, list[list[Cell]]] = {}
    for series in ready:
        by_data.setdefault(Path(series[0].request['config']).parent, []).append(series)
        if len(by_data[Path(series[0].request['config']).parent]) == together:
            yield by_data.pop(Path(series[0].request['config']).parent)
    yield from by_data.values()


def _one_of_each_data(cells: Sequence[Cell]) -> Iterator[Cell]:
    seen = set()
    for cell in cells:
        key = (Path(cell.request['config']).parent, cell.request['seed'], cell.request.get('held_out'))
        if key not in seen:
            seen.add(key)
            yield cell


def _begin(threads: int, work: str) -> None:
    import torch
    from mmengine.logging import MMLogger
    from mmengine.utils.dl_utils import set_multi_processing

    Path(work).mkdir(parents=True, exist_ok=True)
    output = os.open(Path(work, f'{os.getpid()}_{OUTPUT}'), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    # As a runner has it. In a process that was spawned, each worker of a loader would import all anew.
    set_multi_processing('fork', opencv_num_threads=0)
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = True
    MMLogger.get_current_instance().setLevel('ERROR')


def _make_batches(cell: Cell, out: Path, work: Path) -> None:
    from .bundle import make_batches

    make_batches(cell, out, work)


def _train(bundle: list[list[Cell]], out: Path, work: Path, sources: str | None) -> list[str]:
    from .bundle import train_bundle

    return train_bundle(bundle, out, work, sources)
