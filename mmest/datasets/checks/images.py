"""Headers of images and pixels of masks: every file, in threads, remembered."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmest.console import plain_console
from mmest.datasets.checks.cache import keep, key_of, load
from mmest.pictures import ImageFile, read_mask
from mmest.pictures.decoders.damage import any_size
from mmest.pictures.reading import Reading

Listing = dict[str, tuple[int, int]]
_CHUNK = 64
_TAIL = 64


def listing(folder: Path) -> Listing:
    """Size and time of every file below a folder, by its path in it; hidden ones, as copies made on a Mac have, are
    passed over.
    """
    found = {}
    seen = set()  # a link may lead back to a folder above
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith('.'))
        inside = os.path.relpath(place, folder)
        for name in [] if real in seen else sorted(names):
            if not name.startswith('.'):
                try:
                    status = os.stat(os.path.join(place, name))
                except OSError:
                    continue  # a link that leads nowhere: the image is missing
                path = name if inside == '.' else f'{inside}/{name}'.replace(os.sep, '/')
                found[path] = (status.st_size, status.st_mtime_ns)
        seen.add(real)
    return found


def headers(folder: Path, files: Listing, names: Iterable[str], reading: Reading) -> dict[str, list[int]]:
    """Width and height of images, as they are seen.

    Args:
        folder: where they are.
        files: its listing; names that it lacks are of other folders, and are looked at anew.
        names: which of them.
        reading: how the config has images read.

    Raises:
        ValueError: an image cannot be read, or is cut off.
    """

    def look(path: Path) -> list[int]:
        with ImageFile(path, **reading) as image:
            if not _ends_well(path):
                image.load()
            return [*image.size]

    return _facts('images', look, folder, files, names, reading)


def masks(folder: Path, files: Listing, names: Iterable[str]) -> dict[str, list]:
    """Width and height of masks, and their pixels by class number: a list of (number, pixels).

    Raises:
        ValueError: a mask cannot be read, or its pixels are no class numbers.
    """

    def look(path: Path) -> list:
        numbers = read_mask(path)
        counts = _counts(numbers)
        return [*numbers.shape[::-1], [(int(number), int(counts[number])) for number in np.flatnonzero(counts)]]

    return _facts('masks', look, folder, files, names)


def _facts(
    kind: str, look: Callable[[Path], list], folder: Path, files: Listing, names: Iterable[str], *settings: object
) -> dict[str, list]:
    key = key_of(kind, str(folder.absolute()), *settings)
    known = load(key) or {}
    names = list(names)
    stale = [name for name in names if name not in known or known[name][0] != list(files.get(name, ()))]
    fresh = dict(_look_at(kind, look, folder, stale))
    if fresh:
        known = {name: entry for name, entry in known.items() if name in files}
        known.update((name, [files[name], facts]) for name, facts in fresh.items() if name in files)
        keep(key, known)
    return {name: fresh[name] if name in fresh else known[name][1] for name in names}


def _look_at(kind: str, look: Callable[[Path], list], folder: Path, names: Sequence[str]) -> Iterable[tuple[str, list]]:
    """Threads suffice: reading and decoding leave the interpreter to others."""

    def some(chunk: Sequence[str]) -> list[tuple[str, list]]:
        return [(name, look(folder / name)) for name in chunk]

    chunks = [names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK)]
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = plain_console(stderr=True)
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars,
        ThreadPoolExecutor(_cores()) as pool,
        any_size(),  # here, as the threads would set it against each other
    ):
        bar = bars.add_task(f'looking at {kind}', total=len(names))
        try:
            for found in pool.map(some, chunks):
                yield from found
                bars.advance(bar, len(found))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _counts(numbers: np.ndarray) -> np.ndarray:
    """Pixels by value, of uint8. OpenCV leaves the interpreter to other threads, but counts in float32."""
    if numbers.size < 1 << 24:
        return cv2.calcHist([numbers], [0], None, [256], [0, 256]).ravel()
    return np.bincount(numbers.ravel(), minlength=256)


def _ends_well(path: Path) -> bool:
    """Whether a PNG or JPEG has its mark of the end where it should be; one that something was added to is decoded to
    know. Other formats are taken as they are.
    """
    with path.open('rb') as stream:
        mark = {b'\x89PN': b'IEND', b'\xff\xd8\xff': b'\xff\xd9'}.get(stream.read(3))
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
        return mark is None or mark in stream.read()
