"""What was found out about files, remembered by their size and time, so that the second start takes a second.

It lies in ``$MMEST_CACHE``, by default in ``mmest`` below the user's cache folder (``$XDG_CACHE_HOME`` or
``~/.cache``), and may be removed at any time.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmest.files import write_json

# Raised whenever the same files would give other facts or other sentences.
VERSION = 3


def cache_folder() -> Path:
    """Where it lies."""
    chosen = os.environ.get('MMEST_CACHE')
    return Path(chosen) if chosen else Path(os.environ.get('XDG_CACHE_HOME') or '~/.cache').expanduser() / 'mmest'


def key_of(*ingredients: Any) -> str:
    """A short name for all that a result depends on (anything that JSON can hold)."""
    return hashlib.sha256(json.dumps([VERSION, *ingredients], sort_keys=True).encode()).hexdigest()[:20]


def load(key: str) -> Any:
    """What was kept under a key; None if there is nothing that can be read."""
    try:
        return json.loads((cache_folder() / 'data' / f'{key}.json').read_text())
    except (OSError, ValueError):
        return None


def keep(key: str, facts: Any) -> None:
    """Keep facts under a key. Where nothing can be written, all is looked at again the next time."""
    with contextlib.suppress(OSError):
        write_json(cache_folder() / 'data' / f'{key}.json', facts, indent=None)


@contextlib.contextmanager
def one_process_at_a_time() -> Iterator[None]:
    """Of the processes of torchrun the first looks at the data; the others wait for what it found."""
    with contextlib.ExitStack() as stack:
        if int(os.environ.get('WORLD_SIZE', '1')) > 1:
            with contextlib.suppress(OSError):
                cache_folder().mkdir(parents=True, exist_ok=True)
                fcntl.flock(stack.enter_context((cache_folder() / 'lock').open('a')), fcntl.LOCK_EX)
        yield
