"""The console on which commands show names of files, folders and classes: as they are."""

from functools import partial
from pathlib import Path

from rich.console import Console

#: Brackets in a name are no markup, and colons no emoji.
plain_console = partial(Console, markup=False, emoji=False, highlight=False)


def seen_from_here(path: Path) -> str:
    """An absolute path relative to the current folder, where it lies below."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
