"""The page that says which methods work on which families of backbones."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from mmest.benchmark.families.libraries import LIBRARIES
from mmest.benchmark.families.members import MEMBERS
from mmest.benchmark.families.promises import FAILS, REFUSED, WORKS
from mmest.benchmark.families.run import FOLDER
from mmest.configs import available_tunings, load_tuning

from .results import read_chosen
from .table import Column, Table

PAGE = 'backbones.md'

_HEAD = """# Which methods work on which backbones

Made by `mmest tables` from the JSON files that `mmest backbones` wrote. Of each family one member, cut down by its
library's own arguments, with random weights, was tuned by every method as it is configured here. ✓ is where

- the start is the plain backbone: the same maps, also for images with height and width exchanged where it takes them;
- every trained parameter gets a finite gradient, and two steps of training move the maps;
- what is frozen is bit for bit what it was;
- the delta, loaded into a backbone built anew, gives the trained maps bit for bit.

"refused" is a sentence when the model is built ([below](#what-refuses-says)), before anything is computed; "fails" is a
fault ([below](#what-fails)). Versions: {versions}.

It says nothing of accuracy.
"""


def read_families(sources: Sequence[Path]) -> list[dict]:
    """The records of ``mmest backbones``, of the folders of all others.

    Raises:
        ValueError: a file cannot be read.
    """
    order = list(LIBRARIES)
    records = read_chosen(
        (path for source in sources for path in (source / FOLDER).glob('*.json')), lambda r: r['kind'] == 'backbones'
    )
    return sorted(records, key=lambda r: (order.index(r['library']), r['family'].lower()))


def families_page(records: Sequence[dict]) -> str:
    """The page, in Markdown."""
    tried = [r for r in records if 'methods' in r]
    methods = [name for name in available_tunings() if any(name in r['methods'] for r in tried)]
    marks = {WORKS: '✓', REFUSED: 'refused', FAILS: '**fails**'}
    table = Table('', [Column('family'), Column('library'), *map(Column, methods)])
    for r in tried:
        found = r['methods']
        table.rows.append(
            [r['family'], r['library'], *(marks[found[m]['verdict']] if m in found else None for m in methods)]
        )
    parts = [_HEAD.format(versions=_versions(records)), table.markdown()]
    for title, word in (('What refuses, says', REFUSED), ('What fails', FAILS)):
        lines = _sentences(tried, word)
        parts += [f'## {title}\n', '\n'.join(lines or ['- nothing']) + '\n']
    left = [f'- {r["family"]} ({r["library"]}): {r["error"]}' for r in records if 'error' in r]
    if left:
        parts += ['## What its library does not build\n', '\n'.join(left) + '\n']
    there = {(r['family'], r['library']) for r in records}
    missing = [f'{m.family} ({m.library})' for m in MEMBERS if (m.family, m.library) not in there]
    if missing:
        parts += ['## What has no record yet\n', ', '.join(missing) + '\n']
    return '\n'.join(parts)


def _versions(records: Sequence[dict]) -> str:
    found: dict[str, set[str]] = defaultdict(set)
    for r in records:
        for name in ('torch', r['library']):
            found[name].add(r['versions'][name])
    return ', '.join(f'{name} {" and ".join(sorted(versions))}' for name, versions in found.items())


def _sentences(records: Sequence[dict], word: str) -> list[str]:
    """Each sentence of a verdict once for each family, with the methods that say it with their own name in it."""
    said: dict[tuple[str, str], list[str]] = {}
    for r in records:
        for method, one in r['methods'].items():
            if one['verdict'] == word:
                words = one['says'].replace(load_tuning(method).type, 'METHOD')
                said.setdefault((f'{r["family"]} ({r["library"]})', words), []).append(method)
    return [
        f'- {family}, {", ".join(methods)}: {words.replace("METHOD", load_tuning(methods[0]).type)}'
        for (family, words), methods in said.items()
    ]
