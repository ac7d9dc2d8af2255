"""What mmest itself writes, which may lie in the folder of the data: ``mmest train --data .`` trains there."""

import os
from collections.abc import Iterator
from pathlib import Path

#: Of a prepared set, written last, and while it is written.
DESCRIPTION, LOCK = 'mmest_data.json', '.mmest_data.lock'
#: The page of ``mmest data look``, behind the name of the data.
LOOK = '_look.png'
_FOLDERS = ('work_dirs', 'predictions')  # where nothing else is asked for
_SIGNS = (DESCRIPTION, LOCK, 'last_checkpoint')  # the last of a work folder with another name


def visible_files(folder: Path) -> Iterator[Path]:
    """All files below a folder, behind links too, but hidden ones, those of macOS archives, and results of mmest."""
    for here, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not _is_hidden(name) and _is_of_the_data(Path(here, name))]
        for name in files:
            if not _is_hidden(name) and not name.endswith(LOOK):
                yield Path(here, name)


def results_in(folder: Path) -> list[str]:
    """Names of the folders right below a folder that :func:`visible_files` leaves out for what is in them."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and _holds_results(path))


def _is_hidden(name: str) -> bool:
    return name.startswith('.') or name == '__MACOSX'


def _is_of_the_data(folder: Path) -> bool:
    turns_back = folder.is_symlink() and folder.parent.resolve().is_relative_to(folder.resolve())
    return not turns_back and not _holds_results(folder)


def _holds_results(folder: Path) -> bool:
    return folder.name in _FOLDERS or any((folder / sign).exists() for sign in _SIGNS)
