"""What Potsdam and Vaihingen share: the colours of ISPRS' labels, and patches as mmseg's converters cut them."""

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from re import Pattern

from mmest.datasets.preparation.choice import one_each
from mmest.datasets.preparation.masks import cut_pair, pair
from mmest.datasets.preparation.problems import Problem
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import Done, Job

CLASSES = ('impervious_surface', 'building', 'low_vegetation', 'tree', 'car', 'clutter')
# Black is the boundary between objects in the labels "noBoundary": 0, which loaders ignore; classes count from 1.
_PALETTE = {
    (0, 0, 0): 0,
    (255, 255, 255): 1,
    (0, 0, 255): 2,
    (0, 255, 255): 3,
    (0, 255, 0): 4,
    (255, 255, 0): 5,
    (255, 0, 0): 6,
}
SIZE = 512


def plan(
    files: list[SourceFile],
    picture: Pattern,
    mask: Pattern,
    folders: Collection[str],
    splits: dict[str, Sequence[str]],
    archives: str,
) -> tuple[list[Job], list[Problem]]:
    """Pairs of tiles.

    Args:
        files: the download.
        picture: found in the paths of pictures; its groups are the key.
        mask: found in those of masks.
        folders: where the publisher has both, in small letters.
        splits: the keys of each split.
        archives: both, as messages say it.
    """
    problems: list[Problem] = []
    pictures, masks = (
        one_each(
            (('_'.join(match.groups()).lower(), file) for file in files if (match := pattern.search(file.name))),
            folders,
            problems,
        )
        for pattern in (picture, mask)
    )
    jobs, missing = pair(pictures, masks, splits)
    if not jobs:
        raise ValueError(f'No tile with its label was found. Expected {archives}.')
    problems += [Problem(f'tile {key}', f'its {kind} is missing; the tile is left out') for key, kind in missing]
    known = {key for keys in splits.values() for key in keys}
    problems += [
        Problem(file.place, 'is in no split; left out') for key, file in pictures.items() if file and key not in known
    ]
    return jobs, problems


def convert(job: Job, out: Path) -> Done:
    return cut_pair(
        job,
        out,
        _PALETTE,
        dict(enumerate(CLASSES, start=1)),
        SIZE,
        0,
        lambda key, box: '_'.join([key, *map(str, box)]),
        '.png',
        other=0,
        pad=False,
    )


def ids(text: str) -> list[str]:
    """Words of a list of tiles."""
    return re.split(r'\s+', text.strip())
