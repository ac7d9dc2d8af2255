"""Which cells need not run."""

import json
from pathlib import Path

from mmest.files import write_json

from .training import chosen_factor


def is_done(path: Path, request: dict) -> bool:
    """Whether there is a record of a cell that did not fail and was asked for exactly this."""
    if not path.is_file():
        return False
    record = json.loads(path.read_text())
    return not record['failed'] and all(record.get(key) == value for key, value in request.items())


def is_settled(path: Path, request: dict) -> bool:
    """Whether :func:`is_done`, when the records of the sweep are there.

    A record of the same training whose sweep had other rates is kept, and written anew with this sweep's scores, where
    this sweep chooses the rate that it was trained with: to widen a sweep costs no more than the new rates.
    """
    if is_done(path, request):
        return True
    sweep = request.get('sweep')
    if not sweep or not path.is_file():
        return False
    record = json.loads(path.read_text())
    old = record.get('sweep') or {}
    rates = ('factors', 'cells')
    if {**old, **{key: sweep[key] for key in rates}} != sweep or not is_done(path, {**request, 'sweep': old}):
        return False
    chosen = chosen_factor(request, path.parent)
    if chosen['factor'] != record['factor']:
        return False
    write_json(path, {**record, 'sweep': sweep, **chosen})
    return True
