"""The help of ``mmest``, read from the files of the commands without importing them, as that would take seconds."""

import ast
from pathlib import Path

FOLDER = Path(__file__).parent

TEXT = """\
usage: mmest COMMAND ...                          examples: mmest COMMAND --help
Train detectors and segmentors for remote sensing beside a frozen backbone.
first:
  mmest demo              see it work on two cores, nothing to download
  mmest train --data DIR  train on labelled images of your own, without a config

commands:
{commands}"""


def command_files(folder: Path = FOLDER) -> dict[str, Path]:
    """The file of each command of a folder by the command's name: a module, or a package of commands below it."""
    files = [path for path in sorted(folder.glob('*.py')) if not path.name.startswith('_')]
    packages = sorted(folder.glob('*/__init__.py'))
    return dict(sorted([*((path.stem, path) for path in files), *((path.parent.name, path) for path in packages)]))


def summary(path: Path) -> str:
    """The first sentence of a command's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding='utf-8'))) or ''
    return ' '.join(text.partition('\n\n')[0].split()).partition('. ')[0].rstrip('.')


def listing(folder: Path = FOLDER) -> str:
    """One line for each command of a folder."""
    files = command_files(folder)
    width = max(map(len, files), default=0)
    return '\n'.join(f'  {name:{width}}  {summary(path)}' for name, path in files.items())


def overview() -> str:
    """The help of ``mmest``: it fits a screen of 80 × 24."""
    return TEXT.format(commands=listing())
