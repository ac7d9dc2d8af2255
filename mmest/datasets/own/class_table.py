"""A list of classes beside masks: names, and the value or the colour of each where it says so."""

import csv
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from mmest.datasets.text import decode

Colour = tuple[int, int, int]
_FILES = (
    'labelmap.txt', 'class_dict.csv', '_classes.csv', 'classes.csv', 'classes.json', 'classes.txt', 'class_names.txt',
    'labels.txt', 'label_names.txt',
)  # fmt: skip
# Several classes that are not to be learned may share it.
_IGNORED = 255
_COLUMNS = dict(r='r', red='r', g='g', green='g', b='b', blue='b', a='a', alpha='a')
# What may stand above a column of names.
_TITLES = ('name', 'names', 'class', 'classes', 'class_name', 'class name', 'label', 'labels', 'category', 'categories')
# A row whose cells are joined in a way that is not read is no name.
_JOINED = re.compile(r'\||(\W+\d+){3}$')


@dataclass(frozen=True)
class ClassTable:
    """What a list of classes says.

    Attributes:
        names: by number.
        values: the number of each value, of a table that has values.
        colours: the number of each colour, RGB, of a table that has colours.
    """

    names: list[str] = field(default_factory=list)
    values: dict[int, int] = field(default_factory=dict)
    colours: dict[Colour, int] = field(default_factory=dict)


def find_table(root: Path) -> ClassTable:
    """The first list in a folder, or in one of those in it; an empty one where there is none.

    Raises:
        ValueError: it is no text, holds no class, or has a row that cannot be read.
    """
    for place in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        for name in _FILES:
            if (place / name).is_file():
                return _read(place / name)
    return ClassTable()


class _Row(NamedTuple):
    name: str
    value: int | None = None
    colour: Colour | None = None


def _read(file: Path) -> ClassTable:
    try:
        text = decode(file.read_bytes())
    except ValueError as error:
        raise ValueError(f'{file} {error}. Save it as UTF-8.') from error
    if file.suffix == '.json':
        rows = _json_rows(text, file)
    elif file.name == 'labelmap.txt':  # CVAT: name:r,g,b:parts:actions
        lines = [line.split(':') for line in text.splitlines() if line.strip() and not line.startswith('#')]
        rows = [_Row(line[0], colour=_colour(line[1].split(',')) if len(line) > 1 else None) for line in lines]
    elif file.suffix == '.csv':
        rows = _csv_rows(text, file)
    else:
        rows = [_Row(line.strip()) for line in text.splitlines() if line.strip()]
    if not rows:
        raise ValueError(f'{file} holds no class. Write a row for each, or remove the file.')
    values, colours = _numbered([row.value for row in rows], file), _numbered([row.colour for row in rows], file)
    return ClassTable([row.name for row in rows], values, colours)


def _numbered(keys: list, file: Path) -> dict:
    """The number of the row of each value or colour; none where a row is without."""
    if None in keys:
        return {}
    twice = next((key for number, key in enumerate(keys) if key != _IGNORED and key in keys[:number]), None)
    if twice is not None:
        raise ValueError(f'{file} gives {twice} to two rows. Correct it: a pixel of it is of one class.')
    return {key: number for number, key in enumerate(keys)}


def _json_rows(text: str, file: Path) -> list[_Row]:
    """A list of names, names by value as text, or values or colours by name."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ValueError(f'{file} is not valid JSON: {error}. Correct it.') from error
    rows = []
    for name, value in content.items() if isinstance(content, dict) else [(name, None) for name in content]:
        if isinstance(name, str) and name.isdigit() and isinstance(value, str):
            rows.append(_Row(value, int(name)))
        elif isinstance(value, list) and len(value) >= 3 and all(isinstance(channel, int) for channel in value):
            rows.append(_Row(str(name), colour=tuple(value[:3])))
        elif isinstance(name, str) and (value is None or isinstance(value, int)):
            rows.append(_Row(name, value))
        else:
            raise ValueError(
                f'{file} has the entry {name if value is None else {name: value}}; expected a list of names, or an '
                'object of JSON with a value or [r, g, b] for each name.'
            )
    return rows


def _csv_rows(text: str, file: Path) -> list[_Row]:
    """Rows of name,r,g,b, with an id before them or not, or of a name and a value, as Roboflow's pixel value,class, or
    of a name each.
    """
    delimiter = max(',;\t', key=text.count)
    rows = [cells for row in csv.reader(text.splitlines(), delimiter=delimiter) if (cells := _cells(row))]
    if all(len(row) == 1 and not row[0].isdigit() and not _JOINED.search(row[0]) for row in rows):
        return [_Row(name) for at, (name,) in enumerate(rows) if at or name.lower() not in _TITLES]
    header = [] if not rows or any(map(str.isdigit, rows[0])) else [_COLUMNS.get(cell.lower()) for cell in rows.pop(0)]
    return [_csv_row(row, header if {*'rgb'} <= {*header} else None, file) for row in rows]


def _cells(row: list[str]) -> list[str]:
    """Without empty ones at the end, which spreadsheets write."""
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _csv_row(row: list[str], header: list[str | None] | None, file: Path) -> _Row:
    """A row by its header; without one three numbers before or behind the name are its colour."""
    texts = [at for at, cell in enumerate(row) if not cell.isdigit()]
    if header and len(header) == len(row):
        colour = [row[header.index(channel)] for channel in 'rgb']
        rest = [cell for cell, column in zip(row, header) if column is None]
    elif header is None and len(texts) == 1:
        parts = row[: texts[0]], row[texts[0] + 1 :]
        colour = next((part for part in reversed(parts) if len(part) == 3), [])
        rest = [row[texts[0]], *(cell for part in parts if part is not colour for cell in part)]
    else:
        colour, rest = [], []
    names = [cell for cell in rest if not cell.isdigit()] or rest
    numbers = [int(cell) for cell in rest if cell not in names]
    if len(names) == 1 and names[0] and len(numbers) <= 1 and (numbers or _colour(colour)):
        return _Row(names[0], *(numbers or [None]), _colour(colour))
    raise ValueError(
        f'{file} has the row {",".join(row)}; expected name,r,g,b or value,name or a name alone, with more columns '
        'below a header that calls three of them r, g and b.'
    )


def _colour(words: list[str]) -> Colour | None:
    """Of three numbers; None where there are none, as CVAT writes for classes without a colour."""
    if len(words) < 3 or not all(word.strip().isdigit() for word in words[:3]):
        return None
    return int(words[0]), int(words[1]), int(words[2])
