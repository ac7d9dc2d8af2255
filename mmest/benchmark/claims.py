"""Cells are claimed by files, so that several runners, on one machine or many, can share a folder of records."""

import json
import os
import socket
import time
from pathlib import Path

#: A claim that has not been renewed for so many seconds belongs to nobody: its machine died.
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
    if path.exists() and not _held(path):
        path.unlink(missing_ok=True)
    try:
        with open(path, 'x') as file:
            json.dump(dict(host=socket.gethostname(), process=os.getpid()), file)
    except FileExistsError:
        return False
    return True


def is_taken(record: Path) -> bool:
    """Whether some runner that lives works on the cell."""
    path = claim_of(record)
    return path.exists() and _held(path)


def renew(record: Path) -> None:
    """Say that the cell is still being worked on."""
    os.utime(claim_of(record))


def give_up(record: Path) -> None:
    """End the claim of this process."""
    claim_of(record).unlink(missing_ok=True)


def _held(path: Path) -> bool:
    try:
        age = time.time() - path.stat().st_mtime
        owner = json.loads(path.read_text())
    except FileNotFoundError:
        return False
    except ValueError:  # being written at this moment, or its machine died over it
        return age < STALE
    if owner['host'] == socket.gethostname() and not _runs(owner['process']):
        return False
    return age < STALE


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
