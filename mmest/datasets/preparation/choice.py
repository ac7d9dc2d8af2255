"""One file where a download has several of one name."""

from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import TypeVar

from mmest.datasets.preparation.problems import DamagedInput, Problem
from mmest.datasets.preparation.source import SourceFile

Key = TypeVar('Key', bound=Hashable)


def one_each(
    found: Iterable[tuple[Key, SourceFile]], folders: Collection[str], problems: list[Problem]
) -> dict[Key, SourceFile | None]:
    """The file of each key, by :func:`the_one`.

    Args:
        found: files with their keys.
        folders: see there.
        problems: see there.

    Returns:
        By key; None where there are files, but nothing says which.
    """
    by_key: dict[Key, list[SourceFile]] = {}
    for key, file in found:
        by_key.setdefault(key, []).append(file)
    return {key: the_one(files, folders, problems) for key, files in by_key.items()}


def the_one(files: Sequence[SourceFile], folders: Collection[str], problems: list[Problem]) -> SourceFile | None:
    """The file that lies where the publisher has it; copies of it count as one.

    Args:
        files: at least one.
        folders: the publisher's, in small letters. What lies in more of them goes first.
        problems: where files that differ lie equally well, this is added.

    Returns:
        None where files that differ lie equally well.
    """
    inside = [len({part.lower() for part in file.parts[:-1]} & {*folders}) for file in files]
    first, *others = (file for file, number in zip(files, inside) if number == max(inside))
    for other in others:
        if not _same(first, other):
            problems.append(
                Problem(first.place, f'differs from {other.place}, and nothing says which is meant; both are left out')
            )
            return None
    return first


def _same(one: SourceFile, other: SourceFile) -> bool:
    try:
        return one.size == other.size and one.read() == other.read()
    except DamagedInput:
        return False
