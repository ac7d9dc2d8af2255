"""A list of classes beside masks: names, and the value or the colour of each where it says so."""

import csv
import json
from dataclasses import dataclass, field
from pathlib import Path

Colour = tuple[int, int, int]
_FILES = (
    'labelmap.txt', 'class_dict.csv', '_classes.csv', 'classes.csv', 'classes.json', 'classes.txt', 'class_names.txt',
    'labels.txt', 'label_names.txt',
)  # fmt: skip


@dataclass(frozen=True)
class ClassTable:
    """What a list of classes says.

    Attributes:
        names: by number.
        values: the number of each value, of a table of values.
        colours: the number of each colour, RGB, of a table of colours.
    """

    names: list[str] = field(default_factory=list)
    values: dict[int, int] = field(default_factory=dict)
    colours: dict[Colour, int] = field(default_factory=dict)


def find_table(root: Path) -> ClassTable:
    """The first list in a folder, or in one of those in it; an empty one where there is none.

    Raises:
        ValueError: it has a row that cannot be read.
    """
    for place in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        for name in _FILES:
            if (place / name).is_file():
                return _read(place / name)
    return ClassTable()


def _read(file: Path) -> ClassTable:
    text = file.read_text(encoding='utf-8-sig')
    if file.suffix == '.json':
        content = json.loads(text)
        if not isinstance(content, dict):
            rows = [(str(name), None) for name in content]
        elif all(name.isdigit() and isinstance(value, str) for name, value in content.items()):
            rows = [(name, int(value)) for value, name in content.items()]
        else:
            rows = [(name, tuple(value) if isinstance(value, list) else value) for name, value in content.items()]
    elif file.name == 'labelmap.txt':  # CVAT: name:r,g,b:parts:actions
        lines = [line.split(':') for line in text.splitlines() if line.strip() and not line.startswith('#')]
        rows = [(line[0], _colour(line[1].split(',')) if len(line) > 1 else None) for line in lines]
    elif file.suffix == '.csv':
        rows = [_csv_row(row, file) for row in csv.reader(text.splitlines()) if row]
        rows = [row for row in rows if row]
    else:
        rows = [(line.strip(), None) for line in text.splitlines() if line.strip()]
    names = [name for name, _ in rows]
    numbered = [(value, number) for number, (_, value) in enumerate(rows)]
    if all(isinstance(value, int) for value, _ in numbered):
        return ClassTable(names, values=dict(numbered))
    if all(isinstance(value, tuple) and len(value) == 3 for value, _ in numbered):
        return ClassTable(names, colours=dict(numbered))
    return ClassTable(names)


def _colour(words: list[str]) -> Colour | None:
    """Of three numbers; None where there are none, as CVAT writes for classes without a colour."""
    if len(words) < 3 or not all(word.strip().isdigit() for word in words[:3]):
        return None
    return int(words[0]), int(words[1]), int(words[2])


def _csv_row(row: list[str], file: Path) -> tuple | None:
    """name,r,g,b, or Roboflow's pixel value,class; None for a header."""
    row = [cell.strip() for cell in row]
    numbers = [cell for cell in row if cell.isdigit()]
    names = [cell for cell in row if not cell.isdigit()]
    if not numbers:
        return None
    if len(names) == 1 and len(numbers) in (1, 3, 4):
        return names[0], int(numbers[0]) if len(numbers) == 1 else _colour(numbers[:3])
    raise ValueError(f'{file} has the row {",".join(row)}; expected name,r,g,b or value,name.')
