"""Files that appear under their name only when they are whole."""

import errno
import io
import json
import os
import re
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mmest.machine import machine, runs

#: Numbers of errors by which a system says that there is no room, or that a place is not to be read or written.
NO_ACCESS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.EEXIST, errno.ENOTDIR, errno.EISDIR),  # a file in the place of a folder, or a folder in that of a file
)
# In front of the number of the process. Not "part" alone: pieces of a split download end so, as x.tar.gz.part07.
_PART = '.mmest-part'
# Processes of another machine cannot be looked at; what one has not written to for so long, in seconds, it has left.
_LEFT = 24 * 3600
_CHUNK = 2**24


def place_of(error: OSError) -> str:
    """The file or folder that an error is of, under its final name: of two, as of a copy, the one that was to be
    written; empty where the error does not say.
    """
    return str(error.filename2 or error.filename or '').partition(_PART)[0]


def may_be_in(error: OSError, *folders: Path) -> bool:
    """Whether an error is of something in one of some folders, as far as it says of what it is."""
    place = place_of(error)
    return not place or any(Path(os.path.abspath(place)).is_relative_to(os.path.abspath(folder)) for folder in folders)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have an error name the file that could not be written inside: systems name one that cannot be opened, and none on
    whose disk there is no room.
    """
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def reserve(file: BinaryIO, size: int) -> None:
    """Give an empty file so many bytes on the disk. One that is only said to be large may find the disk full later, and
    a process that then writes to a map of it is killed.

    Raises:
        OSError: there is no room for them.
    """
    if hasattr(os, 'posix_fallocate'):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, _CHUNK):  # macOS
        file.write(bytes(min(_CHUNK, size - start)))
    file.flush()


def beside(path: str | Path) -> Path:
    """The name under which this process writes a file before it is renamed."""
    return Path(f'{path}{_PART}{os.getpid()}-{_machine()}')


def _machine() -> str:
    """The machine, or container, in eight letters."""
    return f'{zlib.crc32(machine().encode()):08x}'


@contextmanager
def whole_file(path: Path, durable: bool = False) -> Iterator[BinaryIO]:
    """A file to write to, beside its name, which it takes at the end; folders on the way are made.

    Args:
        path: the file.
        durable: wait until disk and folder have it, so that a power cut leaves the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = beside(path)
    try:
        with naming(path), part.open('wb') as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    if durable:
        _sync_folder(path.parent)


def write_bytes(path: Path, *parts: bytes | memoryview, durable: bool = False) -> None:
    """Write these, one behind the other, by :func:`whole_file`."""
    with whole_file(path, durable) as file:
        file.writelines(parts)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder last. Systems whose folders cannot be opened see to that themselves."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:  # network file systems that know no such thing
        pass
    finally:
        os.close(handle)


def write_json(path: Path, record: Any, indent: int | None = 1) -> None:
    """Write JSON as :func:`write_bytes` does."""
    write_bytes(path, (json.dumps(record, indent=indent) + '\n').encode())


def write_zip(path: Path, contents: dict[str, bytes]) -> None:
    """Write an archive of files without folders as :func:`write_bytes` does; equal contents give equal bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    write_bytes(path, stream.getvalue())


def remove_leftovers(folder: str | Path) -> None:
    """Remove the half-written files that killed processes left in a folder; those of processes that run are spared."""
    for path in Path(folder).glob(f'*{_PART}*'):
        process = re.fullmatch(rf'.+{re.escape(_PART)}(\d+)(?:-([0-9a-f]{{8}}))?', path.name)
        if process and not _is_written(path, int(process[1]), process[2]):
            path.unlink(missing_ok=True)


def _is_written(path: Path, process: int, where: str | None) -> bool:
    """Whether a process still writes a file; of which machine, older mmest did not say."""
    if where in (None, _machine()):
        # Its own number used again: nothing is being written yet by the one that asks.
        return process != os.getpid() and runs(process)
    try:
        return time.time() - path.stat().st_mtime < _LEFT
    except FileNotFoundError:  # done in between
        return True
