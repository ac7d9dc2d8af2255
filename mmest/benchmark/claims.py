"""Cells are claimed by files, so that several runners, on one machine or many, can share a folder of records."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path

from mmest.machine import machine, runs

#: A claim of another machine that has not been renewed for so many seconds belongs to nobody: that machine died.
STALE = 600
#: Seconds after which a runner renews its claims.
RENEW = 60


def claim_of(record: Path) -> Path:
    """The file that claims the cell of a record."""
    return record.with_suffix('.claim')


def take(record: Path) -> bool:
    """Claim a cell for this process, unless another runner that lives has it."""
    path = claim_of(record)
    path.parent.mkdir(parents=True, exist_ok=True)
    return _create(path) or (not _held(path) and _take_over(path))


def is_taken(record: Path) -> bool:
    """Whether some runner that lives works on the cell."""
    return _held(claim_of(record))


def renew(record: Path) -> bool:
    """Say that the cell is still being worked on; whether it still is this process's. Another runner may have taken it
    over while this one slept.
    """
    path = claim_of(record)
    with suppress(FileNotFoundError):
        if _owner(path) == _me():
            os.utime(path)
            return True
    return take(record)


def give_up(record: Path) -> None:
    """End the claim of this process, if it still has it."""
    path = claim_of(record)
    if _owner(path) == _me():
        path.unlink(missing_ok=True)


def _take_over(path: Path) -> bool:
    """Put a claim of this process where that of a runner that died is; one runner at a time, or else a second one would
    remove the claim that the first one has just made.
    """
    lock = path.with_suffix('.lock')
    if not _create(lock):
        if _held(lock):
            return False
        lock.unlink(missing_ok=True)  # its runner died over it
        return _take_over(path)
    try:
        if _held(path):
            return False
        path.unlink(missing_ok=True)
        return _create(path)
    finally:
        lock.unlink(missing_ok=True)


def _create(path: Path) -> bool:
    try:
        with open(path, 'x') as file:
            json.dump(_me(), file)
    except FileExistsError:
        return False
    except OSError:  # a full disk: what says nothing would be taken for one that is being written
        path.unlink(missing_ok=True)
        raise
    return True


def _me() -> dict:
    return dict(host=machine(), process=os.getpid(), started=_started(os.getpid()))


def _owner(path: Path) -> dict | None:
    """Who a claim says it is of; None where there is none, or it says nothing."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _held(path: Path) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    owner = _owner(path)
    if owner is not None and owner['host'] == machine():
        return _runs(owner)
    return age < STALE  # of another machine; or being written at this moment, or its machine died over it


def _runs(owner: dict) -> bool:
    process = owner['process']
    return runs(process) and owner.get('started') in (None, _started(process))


def _started(process: int) -> str | None:
    """When a process began, where the system tells it: their numbers come again."""
    try:
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[19]
    except OSError:
        return None
