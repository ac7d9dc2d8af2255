"""The official data sets, found by the files of :mod:`mmest.datasets.official`."""

import ast
import difflib
import textwrap
from pathlib import Path

import mmest.datasets.official

_COLUMNS = 76
_FOLDER = Path(mmest.datasets.official.__file__).parent


def official_names() -> list[str]:
    """Names of all of them."""
    return sorted(path.stem for path in _FOLDER.glob('*.py') if not path.name.startswith('_'))


def module_of(name: str) -> str:
    """The module of a data set.

    Raises:
        ValueError: there is no such data set.
    """
    if name not in official_names():
        near = difflib.get_close_matches(name.lower(), official_names(), n=1)
        hint = f'Did you mean {near[0]}?' if near else f'There are {", ".join(official_names())}.'
        raise ValueError(f'There is no official data set "{name}". {hint}')
    return f'{mmest.datasets.official.__name__}.{name}'


def docstring(name: str) -> str:
    """The help of a data set, read without importing its module."""
    return ast.get_docstring(ast.parse((_FOLDER / f'{name}.py').read_text(encoding='utf-8'))) or ''


def listing() -> str:
    """One line for each data set: its name, and the first line of its help as far as it fits."""
    width = max(map(len, official_names()))
    lines = []
    for name in official_names():
        title = docstring(name).partition('\n')[0].rstrip('.')
        lines.append(f'  {name:{width}}  {textwrap.shorten(title, _COLUMNS - width, placeholder=" ...")}')
    return '\n'.join(lines)
