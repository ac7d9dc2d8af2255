"""Tries every method on members of families, one JSON file per member."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmest.configs import available_tunings, load_tuning
from mmest.files import write_json
from mmest.measure.environment import commit, versions

from .libraries import LIBRARIES
from .members import MEMBERS, Member
from .promises import plain_maps, verdict

#: The folder of their records, in that of the others.
FOLDER = 'backbones'


def choose(words: Sequence[str]) -> list[Member]:
    """The members whose libraries are installed, and of these those of the libraries and families among the words.

    Raises:
        ValueError: a word is neither; nothing is left.
    """
    wanted, families = {word.lower() for word in words}, {member.family.lower() for member in MEMBERS}
    unknown = wanted - families - LIBRARIES.keys()
    if unknown:
        raise ValueError(
            f'"{min(unknown)}" is neither a library nor a family. Libraries are {", ".join(LIBRARIES)}; families '
            f'{", ".join(sorted({member.family for member in MEMBERS}))}.'
        )
    chosen = [
        member
        for member in MEMBERS
        if member.library in (wanted & LIBRARIES.keys() or LIBRARIES)
        and member.family.lower() in (wanted & families or families)
    ]
    there = [member for member in chosen if LIBRARIES[member.library].installed]
    if not there:
        missing = dict.fromkeys(member.library for member in chosen)
        raise ValueError(f'Install {", ".join(missing)} first.' if missing else 'No library has all of these words.')
    return there


def try_members(members: Sequence[Member], out: Path) -> Iterator[tuple[Member, dict]]:
    """Try every method on each member and write its record, ``backbones/LIBRARY_FAMILY.json`` in a folder.

    A member that its library, in the version that is there, does not build or run has "error" in place of methods. A
    record of the same member by the same code and versions is kept.
    """
    for member in members:
        asked = dict(
            kind='backbones',
            family=member.family,
            library=member.library,
            member=member.name,
            arguments=dict(member.arguments),
            size=member.size,
            commit=commit(),
            versions={**versions(), member.library: LIBRARIES[member.library].version},
        )
        name = re.sub(r'\W+', '-', member.family.lower())
        path = out / FOLDER / f'{member.library}_{name}.json'
        record = _of_the_same(path, asked)
        if record is None:
            record = {**asked, **_tried(member)}
            write_json(path, record)
        yield member, record


def _of_the_same(path: Path, asked: dict) -> dict | None:
    """The record of a member that was tried by this very code, if there is one."""
    if not path.is_file() or asked['commit'] is None or asked['commit'].endswith('-dirty'):
        return None
    record = json.loads(path.read_text(encoding='utf-8'))
    same = json.loads(json.dumps(asked))  # tuples are lists there
    return record if {key: record.get(key) for key in same} == same else None


def _tried(member: Member) -> dict:
    try:
        backbone = member.build()
        expected = plain_maps(backbone, member.size)
    except Exception as error:
        return dict(error=f'{type(error).__name__}: {error}')
    found = {name: verdict(backbone, load_tuning(name), expected) for name in available_tunings()}
    return dict(methods={name: dict(verdict=word, says=says) for name, (word, says) in found.items()})
