"""What mmest itself writes, which may lie in the folder of the data: ``mmest train --data .`` trains there."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

#: Of a prepared set, written last, and while it is written.
DESCRIPTION, LOCK = 'mmest_data.json', '.mmest_data.lock'
#: Of a work folder, from before the first checkpoint on.
TRAINING_LOCK = '.mmest_train.lock'
#: The page of ``mmest data look``, behind the name of the data.
LOOK = '_look.png'
_FOLDERS = ('work_dirs', 'predictions')  # where nothing else is asked for
_SIGNS = (DESCRIPTION, LOCK, TRAINING_LOCK, 'last_checkpoint')
# The names of the files of a folder that are results. The folder itself may be the user's.
_LIST = '.mmest_results'


def note_results(files: Iterable[Path]) -> None:
    """Have files be known as results, and so as no data wherever they lie, before they are written."""
    by_folder: dict[Path, list[str]] = {}
    for file in files:
        by_folder.setdefault(file.parent, []).append(file.name)
    for folder, names in by_folder.items():
        known = noted_results(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / _LIST).open('ab') as stream:  # in one piece: other processes may add theirs
            stream.write(b''.join(os.fsencode(name) + b'\n' for name in names if name not in known))


def noted_results(folder: str | Path) -> set[str]:
    """Names of the files of a folder that :func:`note_results` was told."""
    try:
        return set(os.fsdecode(Path(folder, _LIST).read_bytes()).split('\n'))
    except (FileNotFoundError, NotADirectoryError):
        return set()


def visible_files(folder: Path, levels: int | None = None) -> Iterator[Path]:
    """All files below a folder but hidden ones, those of macOS archives, and results of mmest. Links that lead to
    folders elsewhere are followed; what a link in the folder shows again is there once.

    Args:
        folder: where to look.
        levels: of folders, the first among them; None for all.
    """
    return (path for path, is_result in _walk(folder, levels) if not is_result)


def results_in(folder: Path) -> list[str]:
    """Files and folders below a folder that :func:`visible_files` leaves out as results of mmest, in order."""
    return sorted(path.relative_to(folder).as_posix() for path, is_result in _walk(folder) if is_result)


def _walk(folder: Path, levels: int | None = None) -> Iterator[tuple[Path, bool]]:
    """Files, and folders with results, which are not gone into; and whether each is a result."""
    root = folder.resolve()
    seen = {root}
    for here, folders, files in os.walk(folder, followlinks=True):
        if levels == len(Path(here).relative_to(folder).parts) + 1:
            folders.clear()
        inner = [Path(here, name) for name in sorted(folders) if not _is_hidden(name)]
        inner = [path for path in inner if _leads_on(path, root, seen)]
        results = [path for path in inner if _holds_results(path)]
        yield from ((path, True) for path in results)
        folders[:] = [path.name for path in inner if path not in results]
        noted = noted_results(here) if _LIST in files else set()
        for name in files:
            path = os.path.join(here, name)
            if not _is_hidden(name) and os.path.isfile(path):  # a link may lead nowhere
                yield Path(path), name in noted or name.endswith(LOOK)


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
