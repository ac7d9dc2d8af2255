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


def visible_files(folder: Path, levels: int | None = None) -> Iterator[Path]:
    """All files below a folder but hidden ones, those of macOS archives, and results of mmest. Links that lead to
    folders elsewhere are followed; what a link in the folder shows again is there once.

    Args:
        folder: where to look.
        levels: of folders, the first among them; None for all.
    """
    root = folder.resolve()
    seen = {root}
    for here, folders, files in os.walk(folder, followlinks=True):
        if levels == len(Path(here).relative_to(folder).parts) + 1:
            folders.clear()
        inner = [Path(here, name) for name in sorted(folders) if not _is_hidden(name)]
        folders[:] = [path.name for path in inner if _leads_on(path, root, seen) and not _holds_results(path)]
        for name in files:
            path = os.path.join(here, name)
            if not _is_hidden(name) and not name.endswith(LOOK) and os.path.isfile(path):  # a link may lead nowhere
                yield Path(path)


def results_in(folder: Path) -> list[str]:
    """Names of the folders right below a folder that :func:`visible_files` leaves out for what is in them."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and _holds_results(path))


def _is_hidden(name: str) -> bool:
    return name.startswith('.') or name == '__MACOSX'


def _leads_on(folder: Path, root: Path, seen: set[Path]) -> bool:
    """Whether a folder shows what is seen nowhere else."""
    real = folder.resolve()
    again = real in seen or folder.is_symlink() and (real.is_relative_to(root) or root.is_relative_to(real))
    seen.add(real)
    return not again


def _holds_results(folder: Path) -> bool:
    return folder.name in _FOLDERS or any(os.path.exists(folder / sign) for sign in _SIGNS)
