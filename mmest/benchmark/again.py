"""Trainings that have a record, run again: whether a table can be repeated."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from .cell import Cell
from .done import is_done

#: The folder of their records, in that of the first ones.
AGAIN = 'again'


def draw_again(cells: Sequence[Cell], out: Path, number: int, draw: int) -> list[Cell]:
    """Trainings of a grid that have a record, drawn at random, as cells that train once more at the rate of the record,
    without its sweep.

    Args:
        cells: of the grid.
        out: folder of the records.
        number: how many to draw; all if there are fewer.
        draw: the same number draws the same of the same records.

    Raises:
        ValueError: no training of the grid has a record there.
    """
    known = {
        cell.name: cell
        for cell in cells
        if cell.kind == 'accuracy' and is_done(out / f'{cell.name}.json', cell.request)
    }
    if not known:
        raise ValueError(f'{out} has no record of a training that this grid asks for, so there is none to run again.')
    names = random.Random(draw).sample(sorted(known), min(number, len(known)))
    return [_at_the_rate_of_the_record(known[name], out) for name in names]


def _at_the_rate_of_the_record(cell: Cell, out: Path) -> Cell:
    factor = json.loads((out / f'{cell.name}.json').read_text())['factor']
    of = (cell.request['sweep'] or {}).get('of')
    return Cell(cell.name, dict(cell.request, sweep=None, factor=factor, factor_of=of))
