"""A part of a grid, chosen by words."""

import difflib
from pathlib import Path

from mmest.configs import head_and_backbone, run_stem

from .cell import Cell


def facets(cell: Cell) -> dict[str, set[str]]:
    """What a cell is called by: its kind, data set, head, backbone, methods, variant and seed."""
    request = cell.request
    path = Path(request['config'])
    head, _, backbone = head_and_backbone(run_stem(request['config'])).partition('_')
    methods = [request['method']] if 'method' in request else request['tunings']
    return dict(
        kind={request['kind']},
        data={path.absolute().parent.name},
        head={head},
        backbone={backbone},
        method=set(methods),
        variant={request['variant'].replace(' ', '-')},
        seed={f'seed{request["seed"]}'} if 'seed' in request else set(),
    )


def select(cells: list[Cell], words: list[str]) -> list[Cell]:
    """The cells that words name: words of one kind are alternatives, words of different kinds must all fit.

    ``['dior', 'est', 'full']`` is EST and full fine-tuning on DIOR.

    Raises:
        ValueError: nothing in the grid is called so, or nothing is left.
    """
    known = [facets(cell) for cell in cells]
    names = {kind: set().union(*(cell[kind] for cell in known)) - {''} for kind in (known[0] if known else ())}
    asked: dict[str, set[str]] = {}
    for word in words:
        kinds = [kind for kind, some in names.items() if word in some]
        if not kinds:
            every = sorted(set().union(*names.values()))
            near = difflib.get_close_matches(word, every, n=3) or every
            raise ValueError(f'Nothing in the grid is called "{word}"; there are {", ".join(near)}.')
        asked.setdefault(kinds[0], set()).add(word)
    chosen = [cell for cell, mine in zip(cells, known) if all(mine[kind] & some for kind, some in asked.items())]
    if not chosen:
        raise ValueError(f'No cell of the grid is all of {", ".join(words)}.')
    return chosen
