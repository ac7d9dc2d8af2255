"""What the pixels of masks mean: class numbers, grey levels, or colours of a table."""

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image

from mmest.datasets.own.sample import Notes, some
from mmest.pictures import ImageFile, read_mask

UNLABELLED = 255
_TABLES = (
    'labelmap.txt', 'class_dict.csv', '_classes.csv', 'classes.csv', 'classes.json', 'classes.txt', 'class_names.txt',
    'labels.txt', 'label_names.txt',
)  # fmt: skip
_MOST_CLASSES = 64
_GREY = 65536 + 256 + 1  # times a level: that grey as a packed colour
_LOSSY = ('.jpg', '.jpeg', '.webp')


class MaskReader:
    """Reads masks as class numbers.

    All masks are looked at first, as one may lack what another shows.

    Args:
        root: the folder of the data, where a table of classes may lie.
        files: all masks.
        notes: what is understood is said here.

    Attributes:
        classes: names by number.
        palette: a colour for each, where masks or table state it.

    Raises:
        ValueError: pixels that no class explains.
    """

    def __init__(self, root: Path, files: list[Path], notes: Notes) -> None:
        self._table, stated = _table(root)
        self.palette: list[tuple[int, int, int]] | None = None
        found: dict[int, Path] = {}
        colours: dict[int, Path] = {}
        for file in files:
            pixels, palette = _open(file)
            self.palette = self.palette or palette
            for value in np.unique(pixels if pixels.ndim == 2 else _packed(pixels)).tolist():
                (found if pixels.ndim == 2 else colours).setdefault(value, file)
        self._colours = bool(colours)
        if self._colours:
            self.classes = self._by_colour(colours | {value * _GREY: file for value, file in found.items()}, stated)
        else:
            self.classes = self._by_value(found, stated)
        self._say(notes, stated)

    def read(self, file: Path) -> np.ndarray:
        """H×W class numbers, 255 where nothing is labelled."""
        pixels, _ = _open(file)
        if self._colours:
            pixels = _packed(pixels) if pixels.ndim == 3 else pixels * _GREY
            if file.suffix.lower() in _LOSSY:
                return self._nearest(pixels)
        found, where = np.unique(pixels, return_inverse=True)
        return np.array([self._numbers[value] for value in found.tolist()], np.uint8)[where].reshape(pixels.shape)

    def _nearest(self, pixels: np.ndarray) -> np.ndarray:
        """For masks that were compressed with loss: the class of the nearest colour."""
        colours = np.array([_unpacked(value) for value in self._numbers])
        found, where = np.unique(pixels, return_inverse=True)
        distance = np.abs(np.array([_unpacked(value) for value in found.tolist()])[:, None] - colours).sum(-1)
        numbers = np.array(list(self._numbers.values()), np.uint8)[distance.argmin(1)]
        return numbers[where].reshape(pixels.shape)

    def _by_value(self, found: dict[int, Path], stated: list[str]) -> list[str]:
        """Masks of one channel."""
        values = sorted(found)
        self._kind = 'class numbers'
        binary = set(values) in ({0, 255}, {255}) and len(stated) in (0, 2) and not self._table
        levels = [value for value in values if value != UNLABELLED]
        if binary:
            self._kind, self._numbers = '0 and 255', {0: 0, 255: 1}
            return stated or ['background', 'foreground']
        if self._table:  # the value that a table gives to each name
            known = {value: number for number, (_, value) in enumerate(self._table)}
            if set(levels) <= known.keys() and all(isinstance(value, int) for value in known):
                self._numbers = dict(known) if UNLABELLED in known else {**known, UNLABELLED: UNLABELLED}
                return stated
        count = len(stated) or max(levels, default=0) + 1
        if not stated and count > 2 * len(values) and len(values) <= _MOST_CLASSES:
            self._kind = 'grey levels'
            self._numbers = {value: number for number, value in enumerate(values)}
            self.palette = None
            return [f'grey {value}' for value in values]
        unknown = [value for value in levels if value >= count]
        if unknown or count > 255:
            raise ValueError(
                f'The mask {found[unknown[0] if unknown else values[-1]]} has pixels of value '
                f'{some([str(value) for value in unknown or values[-3:]])}, but there are {min(count, 255)} classes, '
                f'numbered 0 to {min(count, 255) - 1} (255 is ignored). Complete the list of classes, or convert the '
                'masks.'
            )
        self._numbers = {number: number for number in range(count)} | {UNLABELLED: UNLABELLED}
        return stated or [f'class {number}' for number in range(count)]

    def _by_colour(self, found: dict[int, Path], stated: list[str]) -> list[str]:
        """Masks of three channels."""
        self._kind = 'colours'
        colours = {value: number for number, (_, value) in enumerate(self._table) if not isinstance(value, int)}
        if colours:
            self._numbers = {_packed(np.array(colour))[()]: number for colour, number in colours.items()}
            self.palette = list(colours)
            unknown = [
                value
                for value, file in found.items()
                if value not in self._numbers and file.suffix.lower() not in _LOSSY
            ]
            if unknown:
                raise ValueError(
                    f'The mask {found[unknown[0]]} has pixels of the colour {_unpacked(unknown[0])}, which the table '
                    f'of classes does not have: it has {some([str(colour) for colour in colours])}. Complete it.'
                )
            return stated
        lossy = any(file.suffix.lower() in _LOSSY for file in found.values())
        if len(found) > _MOST_CLASSES or lossy:
            raise ValueError(
                f'The masks are colour images with {len(found)} colours{" and loss of quality" if lossy else ""}, such '
                f'as {next(iter(found.values()))}, and no table says which colour is which class. Write one beside '
                'them: class_dict.csv with the columns name,r,g,b.'
            )
        values = sorted(found)
        self._numbers = {value: number for number, value in enumerate(values)}
        self.palette = [_unpacked(value) for value in values]
        return ['#{:02x}{:02x}{:02x}'.format(*colour) for colour in self.palette]

    def _say(self, notes: Notes, stated: list[str]) -> None:
        if self._kind == '0 and 255':
            notes.say(f'masks have the values 0 and 255: taken as two classes, {self.classes[0]} and {self.classes[1]}')
        elif self._kind == 'grey levels':
            notes.say(f'masks have {len(self.classes)} grey levels: each is taken as a class, in their order')
        elif self._kind == 'colours' and not stated:
            notes.say(
                f'masks have {len(self.classes)} colours and no table names them: each is a class with its colour as '
                'name. class_dict.csv (name,r,g,b) beside them gives names'
            )
        elif not stated:
            notes.say(
                f'no list names the {len(self.classes)} classes: they are numbered. classes.txt (a name a line, from 0 '
                'on) gives names'
            )


def _open(file: Path) -> tuple[np.ndarray, list | None]:
    """Pixels, H×W or H×W×3, and the palette of a palette image. Colours that are all grey become one channel."""
    try:
        with Image.open(file) as image:
            mode, flat = image.mode, image.getpalette() or []
    except (OSError, SyntaxError) as error:
        raise ValueError(f'The mask {file} cannot be read: {error}. Copy or export it again.') from error
    if mode not in ('RGB', 'RGBA', 'LA', 'CMYK', 'YCbCr'):
        return read_mask(file).astype(np.int64), [tuple(flat[at : at + 3]) for at in range(0, len(flat), 3)] or None
    with ImageFile(file) as image:
        pixels = image.read().astype(np.int64)
    grey = (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all()
    return pixels[..., 0] if grey else pixels, None


def _packed(pixels: np.ndarray) -> np.ndarray:
    """Colours as one number each."""
    return pixels[..., 0] * 65536 + pixels[..., 1] * 256 + pixels[..., 2]


def _unpacked(value: int) -> tuple[int, int, int]:
    return value // 65536, value // 256 % 256, value % 256


def _table(root: Path) -> tuple[list[tuple[str, int | tuple[int, int, int]]], list[str]]:
    """Names with their value or colour, of the first table that is there, and the names alone."""
    for place in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        for name in _TABLES:
            if (place / name).is_file():
                return _read_table(place / name)
    return [], []


def _read_table(file: Path) -> tuple[list, list[str]]:
    text = file.read_text(encoding='utf-8-sig')
    if file.suffix == '.json':
        content = json.loads(text)
        rows = list(content.items()) if isinstance(content, dict) else [(name, None) for name in content]
        rows = [(str(name), tuple(value) if isinstance(value, list) else value) for name, value in rows]
    elif file.name == 'labelmap.txt':  # CVAT: name:r,g,b:parts:actions
        lines = [line.split(':') for line in text.splitlines() if line.strip() and not line.startswith('#')]
        rows = [(line[0], _colour(line[1].split(','))) for line in lines]
    elif file.suffix == '.csv':
        rows = [_csv_row(row, file) for row in csv.reader(text.splitlines()) if row]
        rows = [row for row in rows if row]
    else:
        rows = [(line.strip(), None) for line in text.splitlines() if line.strip()]
    names = [name for name, _ in rows]
    return ([] if any(value is None for _, value in rows) else rows), names


def _colour(words: list[str]) -> tuple[int, ...]:
    return tuple(int(word) for word in words)


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
