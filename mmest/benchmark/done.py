"""Which cells need not run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmest.files import write_json

from .cell import Cell
from .config_text import meaning
from .record import read_record
from .training import chosen_factor


def cells_to_run(cells: Sequence[Cell], out: Path) -> list[Cell]:
    """Cells without a record that answers them, and the trainings whose rate follows from a sweep that is to run.

    Args:
        cells: of a grid.
        out: folder of the records.
    """
    open_ = {cell.name for cell in cells if not is_done(out / f'{cell.name}.json', cell.request)}
    return [cell for cell in cells if cell.name in open_ or open_ & cells_of_sweep(cell)]


def cells_of_sweep(cell: Cell) -> set[str]:
    """Names of the cells that the rate of a training is chosen by."""
    return set((cell.request.get('sweep') or {}).get('cells', ()))


def is_done(path: Path, request: dict) -> bool:
    """Whether there is a record of a cell that did not fail, was asked for exactly this, and was trained with what the
    records of its sweep choose, where these are there.
    """
    record = read_record(path)
    return record is not None and _answers(record, request) and _has(record, _chosen(request, path.parent))


def is_settled(path: Path, request: dict) -> bool:
    """Whether :func:`is_done`, when the records of the sweep are there.

    A record of the same training whose sweep was another (other rates, another part held out) or had other scores (a
    run that failed, made up for) is kept, and written anew with this sweep's scores, where this sweep chooses the rate
    that it was trained with: the training is the same.
    """
    if is_done(path, request):
        return True
    record, sweep = read_record(path), request.get('sweep')
    old = record and record.get('sweep')
    if not (old and sweep and sweep.get('of') == old.get('of') and _answers(record, {**request, 'sweep': old})):
        return False
    chosen = _chosen(request, path.parent)
    if chosen is None or chosen['factor'] != record['factor']:
        return False
    write_json(path, {**record, 'sweep': sweep, **chosen})
    return True


def _chosen(request: dict, records: Path) -> dict | None:
    """What the records of a sweep choose; None where some are not there, are of other data than the sweep holds out, or
    none has a score: the cell itself will say that.
    """
    sweep = request.get('sweep')
    if not sweep:
        return None
    found = [read_record(records / f'{cell}.json') for cell in sweep['cells']]
    if not all(record is not None and record['held_out'] == sweep['held_out'] for record in found):
        return None
    try:
        return chosen_factor(request, records)
    except RuntimeError:
        return None


def _has(record: dict, chosen: dict | None) -> bool:
    return chosen is None or chosen.items() <= record.items()


def _answers(record: dict, request: dict) -> bool:
    return not record['failed'] and all(_agree(key, record.get(key), value) for key, value in request.items())


def _agree(key: str, found: Any, asked: Any) -> bool:
    """Whether a record has what was asked for. How the text of a config is laid out depends on how long the paths of a
    machine are, so texts that differ are compared by what they say.
    """
    if found == asked or key != 'config_text' or found is None:
        return found == asked
    return meaning(found) == meaning(asked)
