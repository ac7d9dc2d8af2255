"""The files of a download as one list, however it is unpacked, in zip archives, or in archives inside archives."""

import functools
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmest.datasets.own.results import visible_files
from mmest.datasets.preparation.problems import DamagedInput, Problem
from mmest.files import whole_file

# Inside the output folder of a preparation: the journal, copies of archives out of archives, and the lock for large
# pictures.
HIDDEN = '.preparation'
# Archives inside archives inside archives: that of Potsdam has two levels, one that holds itself has no end.
_DEEPEST = 4
# Bytes of one file: an image of 500 million pixels at four bytes each.
_LARGEST = 2 << 30
# How many times larger than packed an archive in an archive may be: it is packed already.
_RATIO = 100
_METHODS = {
    zipfile.ZIP_STORED: 'none',
    zipfile.ZIP_DEFLATED: 'Deflate',
    zipfile.ZIP_BZIP2: 'BZip2',
    zipfile.ZIP_LZMA: 'LZMA',
    9: 'Deflate64, as Windows does above 2 GB',
}
_ENCRYPTED = 1
# What reading a member raises, beside what the disk does: unknown methods, passwords, damage of each method.
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError)


@dataclass(frozen=True)
class SourceFile:
    """One file of a download.

    Args:
        name: its path as if every archive were unpacked into a folder of its name, such as
            ``Train/Urban/masks_png/3.png``.
        path: the file on disk, or the archive that holds it.
        member: its name in the archive; empty for a file on disk.
        stamp: changes when the file does.
        size: in bytes, unpacked.
    """

    name: str
    path: str
    member: str
    stamp: str
    size: int = 0

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def parts(self) -> tuple[str, ...]:
        return PurePosixPath(self.name).parts

    @property
    def suffix(self) -> str:
        """The ending of its name with the dot, in small letters."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def place(self) -> str:
        """How messages name the file."""
        return f'{self.path}:{self.member}' if self.member else self.path

    def read(self) -> bytes:
        """Its content.

        Raises:
            DamagedInput: it cannot be read, its checksum is wrong, or it is too large for one file of a data set.
        """
        if self.size > _LARGEST:
            raise DamagedInput(
                f'has {self.size:,} bytes unpacked, more than {_LARGEST:,}: no file of a data set is so large'
            )
        try:
            if self.member:
                return _archive(self.path).read(self.member)
            return Path(self.path).read_bytes()
        except (OSError, *_BROKEN) as error:
            raise DamagedInput(f'cannot be read ({error})') from error


# An archive of ten thousand files takes a while to open.
@functools.lru_cache(maxsize=16)
def _archive(path: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def list_source(source: Path, scratch: Path) -> tuple[list[SourceFile], list[Problem]]:
    """All files of a download, sorted by name; what a preparation wrote below it is left out.

    Args:
        source: a folder, or a zip archive.
        scratch: archives that lie in archives are copied there, as reading a compressed archive at random is slow.

    Returns:
        The files, and the archives that are damaged or that cannot be read here.

    Raises:
        FileNotFoundError: there is no such folder or archive.
    """
    if not source.exists():
        raise FileNotFoundError(f'There is no folder or archive {source}.')
    files, problems = [], []
    found = sorted(_unprepared(source)) if source.is_dir() else [source]
    base = source if source.is_dir() else source.parent
    for path in found:
        name = path.relative_to(base).as_posix()
        if path.suffix.lower() == '.zip':
            files += _members(path, str(path), name, scratch, problems, 1)
        else:
            status = path.stat()
            files.append(SourceFile(name, str(path), '', f'{status.st_size}-{status.st_mtime_ns}', status.st_size))
    return sorted(files, key=lambda file: file.name), problems


def _unprepared(source: Path) -> Iterator[Path]:
    @functools.cache
    def is_prepared(folder: Path) -> bool:
        return folder != source and ((folder / HIDDEN).is_dir() or is_prepared(folder.parent))

    return (path for path in visible_files(source) if not is_prepared(path.parent))


def _members(
    path: Path, place: str, name: str, scratch: Path, problems: list[Problem], depth: int
) -> Iterator[SourceFile]:
    """Files of an archive; ``place`` is how messages name it, ``name`` its path in the download."""
    folder = name[: -len('.zip')]
    try:
        members = _archive(str(path)).infolist()
    except (OSError, *_BROKEN) as error:
        problems.append(Problem(place, f'is not a whole zip archive ({error}); download it again'))
        return
    refused = _why_refused(members)
    if refused:
        problems.append(Problem(place, f'{refused}; unpack it first'))
        return
    for member in members:
        # Some tools of Windows write their own separator.
        inside = member.filename.replace('\\', '/')
        if inside.endswith('/') or '__MACOSX' in inside or PurePosixPath(inside).name.startswith('._'):
            continue
        inner = f'{folder}/{inside}'
        if not inside.lower().endswith('.zip'):
            yield SourceFile(inner, str(path), member.filename, f'{member.file_size}-{member.CRC}', member.file_size)
            continue
        inner_place = f'{place}:{member.filename}'
        if depth == _DEEPEST:
            problems.append(Problem(inner_place, f'lies in archives {depth} deep; unpack them first'))
            continue
        copy = scratch / f'{member.CRC:08x}_{PurePosixPath(inside).name}'
        try:
            _copy_out(path, member, copy)
        except _BROKEN as error:
            problems.append(Problem(inner_place, f'cannot be unpacked ({error}); download {path.name} again'))
            continue
        yield from _members(copy, inner_place, inner, scratch, problems, depth + 1)


def _why_refused(members: list[zipfile.ZipInfo]) -> str:
    """Why an archive cannot be read here; empty if it can."""
    if any(member.flag_bits & _ENCRYPTED for member in members):
        return 'is encrypted'
    other = {member.compress_type for member in members} - set(list(_METHODS)[:4])
    if other:
        number = min(other)
        return f'is compressed by a method that Python does not read ({_METHODS.get(number, f"number {number}")})'
    return ''


def _copy_out(path: Path, member: zipfile.ZipInfo, copy: Path) -> None:
    """Copy an archive out of an archive, whole or not at all."""
    if copy.is_file() and copy.stat().st_size == member.file_size:
        return
    if member.file_size > _RATIO * max(member.compress_size, 1 << 20):
        raise ValueError(f'it states {member.file_size:,} bytes in {member.compress_size:,}: no archive is packed so')
    copy.parent.mkdir(parents=True, exist_ok=True)
    if member.file_size > shutil.disk_usage(copy.parent).free:
        raise ValueError(f'it needs {member.file_size:,} bytes, more than are free in {copy.parent}')
    with _archive(str(path)).open(member) as stream, whole_file(copy) as target:
        shutil.copyfileobj(stream, target, 1 << 20)
