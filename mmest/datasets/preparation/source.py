"""A download as one list of files, whether it is unpacked, in zip archives, or in archives inside archives."""

import functools
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmest.datasets.preparation.problems import DamagedInput, Problem


@dataclass(frozen=True)
class SourceFile:
    """One file of a download.

    Args:
        name: its path as if every archive were unpacked into a folder of its name, such as
            ``Train/Urban/masks_png/3.png``.
        path: the file on disk, or the archive that holds it.
        member: its name in the archive; empty for a file on disk.
        stamp: changes when the file does.
    """

    name: str
    path: str
    member: str
    stamp: str

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def parts(self) -> tuple[str, ...]:
        return PurePosixPath(self.name).parts

    @property
    def place(self) -> str:
        """How messages name the file."""
        return f'{self.path}:{self.member}' if self.member else self.path

    def read(self) -> bytes:
        """Its content.

        Raises:
            DamagedInput: it cannot be read, or its checksum is wrong.
        """
        try:
            if self.member:
                return _archive(self.path).read(self.member)
            return Path(self.path).read_bytes()
        except (OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DamagedInput(f'cannot be read ({error})') from error


# An archive of ten thousand files takes a while to open.
@functools.lru_cache(maxsize=16)
def _archive(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def list_source(source: Path, scratch: Path) -> tuple[list[SourceFile], list[Problem]]:
    """All files of a download, sorted by name.

    Args:
        source: a folder, or a zip archive.
        scratch: archives that lie in archives are copied there, as reading a compressed archive at random is slow.

    Returns:
        The files, and the archives that are damaged.

    Raises:
        FileNotFoundError: there is no such folder or archive.
    """
    if not source.exists():
        raise FileNotFoundError(f'There is no folder or archive {source}.')
    files, problems = [], []
    found = sorted(path for path in source.rglob('*') if path.is_file()) if source.is_dir() else [source]
    base = source if source.is_dir() else source.parent
    for path in found:
        if path.name.startswith('._') or '__MACOSX' in path.parts:
            continue
        name = path.relative_to(base).as_posix()
        if path.suffix.lower() == '.zip':
            files += _members(path, name, scratch, problems)
        else:
            status = path.stat()
            files.append(SourceFile(name, str(path), '', f'{status.st_size}-{status.st_mtime_ns}'))
    return sorted(files, key=lambda file: file.name), problems


def _members(path: Path, name: str, scratch: Path, problems: list[Problem]) -> Iterator[SourceFile]:
    folder = name[: -len('.zip')]
    try:
        members = _archive(str(path)).infolist()
    except (zipfile.BadZipFile, OSError) as error:
        problems.append(Problem(str(path), f'is not a whole zip archive ({error}); download it again'))
        return
    for member in members:
        if member.is_dir() or '__MACOSX' in member.filename or PurePosixPath(member.filename).name.startswith('._'):
            continue
        inner = f'{folder}/{member.filename}'
        if not member.filename.lower().endswith('.zip'):
            yield SourceFile(inner, str(path), member.filename, f'{member.file_size}-{member.CRC}')
            continue
        copy = scratch / f'{member.CRC:08x}_{PurePosixPath(member.filename).name}'
        try:
            _copy_out(path, member, copy)
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            problems.append(
                Problem(f'{path}:{member.filename}', f'cannot be unpacked ({error}); download {path.name} again')
            )
            continue
        yield from _members(copy, inner, scratch, problems)


def _copy_out(path: Path, member: zipfile.ZipInfo, copy: Path) -> None:
    if copy.is_file() and copy.stat().st_size == member.file_size:
        return
    copy.parent.mkdir(parents=True, exist_ok=True)
    beside = copy.with_name(f'{copy.name}.part{os.getpid()}')
    with _archive(str(path)).open(member) as stream, beside.open('wb') as target:
        shutil.copyfileobj(stream, target, 1 << 20)
    os.replace(beside, copy)
