"""Several lanes at once, on one device."""

import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, zip_longest
from pathlib import Path

import torch

from mmest.benchmark import claims
from mmest.benchmark.cell import Cell
from mmest.benchmark.done import is_settled
from mmest.benchmark.measuring import failure, write_record
from mmest.measure.environment import environment

from .batches import Batches, batches_of, key_of
from .config import config_of
from .evaluation import Evaluations
from .lane import Lane

_AHEAD = 25  # steps that the host may be ahead of a card


def train_bundle(series: Sequence[Sequence[Cell]], records: Path, work: Path, sources: str | None) -> None:
    """Train and score cells, one of each series at a time, and write the record of each as soon as it is known. Cells
    that another runner has claimed, or done, are left to it.

    Args:
        series: cells that one model trains one after another; all on the same data.
        records: folder of the records.
        work: folder of what is only needed meanwhile.
        sources: commit of mmest.
    """
    bundle = _Bundle(records, work, sources, len(series), _longest(series, records, work))
    for cells in zip_longest(*series):
        bundle.train([(lane, cell) for lane, cell in enumerate(cells) if cell is not None])


def _longest(series: Sequence[Sequence[Cell]], records: Path, work: Path) -> int:
    """Steps of the longest training: with data held out, epochs are shorter."""
    steps, seen = [0], set()
    for cell in chain(*series):
        data = (cell.request['seed'], str(cell.request.get('held_out')), str(cell.request['options']))
        if data not in seen:
            seen.add(data)
            with suppress(Exception):  # the cell's own turn tells of it
                steps.append(len(make_batches(cell, records, work)[1]['images']))
    return max(steps)


def make_batches(cell: Cell, records: Path, work: Path) -> tuple[str, Batches]:
    """The batches of a cell's training, and their key; they do not depend on its rate."""
    request = {key: value for key, value in cell.request.items() if key not in ('sweep', 'factor', 'factor_of')}
    cfg, _ = config_of(request, work / cell.name, records)
    return key_of(cfg), batches_of(cfg, work / 'batches')


class _Bundle:
    def __init__(self, records: Path, work: Path, sources: str | None, lanes: int, steps: int) -> None:
        self.records, self.work, self.sources = records, work, sources
        self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        self.steps, self.batches = steps, Batches()
        self.loaded: str | None = None
        evaluations = Evaluations()
        self.lanes = [Lane(self.batches, evaluations) for _ in range(lanes)]

    def train(self, cells: Sequence[tuple[int, Cell]]) -> None:
        """One training of each lane that has one; those with the same batches run side by side."""
        claimed = [(lane, cell) for lane, cell in cells if self._claim(cell)]
        try:
            by_batches: dict[str, list[tuple[int, Cell]]] = {}
            made: dict[str, Batches] = {}
            for lane, cell in claimed:
                with self._recorded(cell, time.monotonic()):
                    key, batches = make_batches(cell, self.records, self.work)
                    made[key] = batches
                    by_batches.setdefault(key, []).append((lane, cell))
            for key, some in by_batches.items():
                self._load(key, made[key])
                self._side_by_side(some, len(made[key]['images']), int(made[key]['epoch']))
        finally:
            for _, cell in claimed:
                claims.give_up(self._path(cell))

    def _path(self, cell: Cell) -> Path:
        return self.records / f'{cell.name}.json'

    def _claim(self, cell: Cell) -> bool:
        path = self._path(cell)
        if not claims.take(path):
            return False
        if is_settled(path, cell.request):
            path.touch()  # for those who look for what was written
            claims.give_up(path)
            return False
        return True

    def _load(self, key: str, batches: Batches) -> None:
        """Into the tensors that the lanes read from, which have room for the longest training."""
        if key == self.loaded:
            return
        for name, value in batches.items():
            if name == 'epoch':
                continue
            if name not in self.batches:
                self.batches[name] = value.new_empty((self.steps, *value.shape[1:]), device=self.device)
            self.batches[name][: len(value)].copy_(value)
        self.loaded = key

    def _side_by_side(self, cells: Sequence[tuple[int, Cell]], steps: int, epoch: int) -> None:
        started = renewed = time.monotonic()
        running = []
        for lane, cell in cells:
            with self._recorded(cell, started):
                self.lanes[lane].begin(cell, steps, epoch, self.work / cell.name, self.records)
                running.append((lane, cell))
        for step in range(steps):
            for lane, _ in running:
                self.lanes[lane].step()
            if self.device == 'cuda' and step % _AHEAD == 0:
                torch.cuda.synchronize()
            if time.monotonic() - renewed > claims.RENEW:
                renewed = time.monotonic()
                # One that another runner has taken over is left to it.
                running = [(lane, cell) for lane, cell in running if claims.renew(self._path(cell))]
        for lane, cell in running:
            with self._recorded(cell, started):
                result = self.lanes[lane].end()
                result.update(environment(self.device), failed=False, side_by_side=len(running))
                if self.device == 'cuda':
                    result['matmul'] = 'tf32'
                write_record(self._path(cell), cell, self.sources, started, **result)

    @contextmanager
    def _recorded(self, cell: Cell, started: float) -> Iterator[None]:
        """Whatever goes wrong with a cell inside becomes its record, and the others go on."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            write_record(self._path(cell), cell, self.sources, started, **failure(error))
