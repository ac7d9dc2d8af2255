"""Where the output of libraries goes while a command shows its own."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path


@contextmanager
def output_to(path: Path) -> Iterator[None]:
    """Send all that libraries print, log and warn of to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    with path.open('a') as log, redirect_stdout(log), redirect_stderr(log), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        handler = logging.StreamHandler(log)
        root.addHandler(handler)
        try:
            yield
        finally:
            root.removeHandler(handler)
