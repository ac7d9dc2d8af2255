"""How findings are worded."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_SHOWN = 3


def some(names: Iterable[object], shown: int = _SHOWN) -> str:
    """The first few of many."""
    names = [str(name) for name in names]
    return ', '.join(names[:shown]) + (', ...' if len(names) > shown else '')


def count(number: int, what: str) -> str:
    """``1 image``, ``2 images``, ``3 boxes``."""
    return f'{number} {what if number == 1 else f"{what}es" if what.endswith(("x", "s")) else f"{what}s"}'


def contents(missing: Path) -> str:
    """What there is in place of a missing path: the contents of the nearest folder above that exists."""
    folder = next(parent for parent in missing.absolute().parents if parent.is_dir())
    names = sorted(path.name for path in folder.iterdir())
    more = f' and {len(names) - 6} more' if len(names) > 6 else ''
    return f'{folder} holds {", ".join(names[:6]) or "nothing"}{more}'


def nearly(name: str, known: Sequence[str]) -> str:
    """The known name that differs in letters' size, spaces or signs alone; empty if there is none."""
    bare = _bare(name)
    return next((other for other in known if _bare(other) == bare), '')


def _bare(name: str) -> str:
    return re.sub(r'[\W_]+', '', name).lower()
