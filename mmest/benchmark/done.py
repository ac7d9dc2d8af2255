"""Which cells need not run."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from mmest.files import write_json

from .record import read_record
from .training import chosen_factor


def is_done(path: Path, request: dict) -> bool:
    """Whether there is a record of a cell that did not fail and was asked for exactly this."""
    record = read_record(path)
    return record is not None and _answers(record, request)


def is_settled(path: Path, request: dict) -> bool:
    """Whether :func:`is_done`, when the records of the sweep are there.

    A record of the same training whose sweep was another (other rates, another part held out) is kept, and written anew
    with this sweep's scores, where this sweep chooses the rate that it was trained with: the training is the same.
    """
    record = read_record(path)
    if record is None:
        return False
    if _answers(record, request):
        return True
    sweep, old = request.get('sweep'), record.get('sweep')
    if not (sweep and old and sweep.get('of') == old.get('of') and _is_swept(sweep, path.parent)):
        return False
    if not _answers(record, {**request, 'sweep': old}):
        return False
    try:
        chosen = chosen_factor(request, path.parent)
    except RuntimeError:  # the cell itself will say that its sweep has no score
        return False
    if chosen['factor'] != record['factor']:
        return False
    write_json(path, {**record, 'sweep': sweep, **chosen})
    return True


def _is_swept(sweep: dict, records: Path) -> bool:
    """Whether the records of a sweep are there, on the data that it holds out."""
    found = [read_record(records / f'{cell}.json') for cell in sweep['cells']]
    return all(record is not None and record['held_out'] == sweep['held_out'] for record in found)


def _answers(record: dict, request: dict) -> bool:
    return not record['failed'] and all(_agree(key, record.get(key), value) for key, value in request.items())


def _agree(key: str, found: Any, asked: Any) -> bool:
    """Whether a record has what was asked for. How the text of a config is laid out depends on how long the paths of a
    machine are, so texts that differ are compared by what they say.
    """
    if found == asked or key != 'config_text' or found is None:
        return found == asked
    return _said(found) == _said(asked)


@cache
def _said(text: str) -> str:
    return ast.dump(ast.parse(text))
