"""What the pixels of masks mean: class numbers, grey levels, or colours of a table."""

from pathlib import Path

import numpy as np

from mmest.datasets.own.class_table import Colour, find_table
from mmest.datasets.own.mask_files import (
    check_alpha,
    colours_of,
    is_lossy,
    nodata_of,
    packed,
    parts,
    read_pixels,
    unpacked,
)
from mmest.datasets.own.sample import UNLABELLED, Notes, some
from mmest.pictures.masks import count_numbers

_MOST_CLASSES = 64
_NEAR = 32  # what loss makes of black and white stays mostly this near to them
_MOSTLY = 0.95


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
        self._table = find_table(root)
        self._notes, self._files = notes, files
        self._declared: Path | None = None  # a file with pixels of the nodata value that it declares
        self.palette: list[Colour] | None = None
        levels: dict[int, Path] = {}  # of masks of one channel
        counts = np.zeros(256, np.int64)
        colours: dict[int, Path] = {}  # of all masks
        unlabelled: set[int] = set()  # the colours that level 255 has
        flat = True
        for file in files:
            pixels, palette = self._open(file)
            check_alpha(file)
            self.palette = self.palette or palette
            flat = flat and pixels.ndim == 2
            if pixels.ndim == 2:
                of_level = count_numbers(pixels)
                counts += of_level
                pixels = of_level.nonzero()[0]
                levels = dict.fromkeys(pixels.tolist(), file) | levels
                unlabelled |= set(colours_of(pixels[pixels == UNLABELLED], palette).tolist())
            for part in parts(pixels):
                colours = dict.fromkeys(np.unique(colours_of(part, palette)).tolist(), file) | colours
        if flat and not (levels.keys() <= {0, UNLABELLED} and len(self._table.names) <= 2):
            colours = {value: file for value, file in colours.items() if value not in unlabelled}
        self._colours = not flat or self._table_has(colours)
        self._thresholded = not self._colours and any(map(is_lossy, files))
        self.classes = self._by_colour(colours) if self._colours else self._by_value(levels, counts)
        if len(self.classes) > UNLABELLED:
            raise ValueError(
                f'The table of classes below {root} has {len(self.classes)}, but masks can hold {UNLABELLED}, as '
                f'{UNLABELLED} is ignored in them. Put rare ones together.'
            )

    def read(self, file: Path) -> np.ndarray:
        """H×W class numbers, 255 where nothing is labelled."""
        pixels, palette = self._open(file)
        return np.concatenate([self._numbers_of(part, palette, is_lossy(file)) for part in parts(pixels)])

    def _open(self, file: Path) -> tuple[np.ndarray, list[Colour] | None]:
        """Pixels and palette, with 255 where a mask of one channel has the nodata value that its file declares, but for
        values and greys of the table.
        """
        pixels, palette = read_pixels(file)
        nodata = nodata_of(file)
        named = nodata in self._table.values or (nodata, nodata, nodata) in self._table.colours
        if pixels.ndim == 2 and nodata and not named and (found := pixels == nodata).any():
            pixels[found] = UNLABELLED
            self._declared = self._declared or file
        return pixels, palette

    def _numbers_of(self, pixels: np.ndarray, palette: list[Colour] | None, lossy: bool) -> np.ndarray:
        if self._colours:
            pixels = colours_of(pixels, palette)
            if lossy:
                return self._nearest(pixels)
        elif self._thresholded:
            pixels = np.where(pixels < 128, 0, 255)
        found, where = np.unique(pixels, return_inverse=True)
        numbers = [self._numbers.get(value, UNLABELLED) for value in found.tolist()]
        return np.array(numbers, np.uint8)[where].reshape(pixels.shape)

    def _nearest(self, pixels: np.ndarray) -> np.ndarray:
        """For masks that were compressed with loss: the class of the nearest colour."""
        colours = np.array([unpacked(value) for value in self._numbers])
        found, where = np.unique(pixels, return_inverse=True)
        distance = np.abs(np.array([unpacked(value) for value in found.tolist()])[:, None] - colours).sum(-1)
        numbers = np.array(list(self._numbers.values()), np.uint8)[distance.argmin(1)]
        return numbers[where].reshape(pixels.shape)

    def _table_has(self, colours: dict[int, Path]) -> bool:
        """Whether masks of one channel show colours of the table: greys, or by their palette. With class numbers the
        colours are there to be looked at only.
        """
        known = {packed(colour) for colour in self._table.colours}
        return bool(known) and all(value in known or is_lossy(file) for value, file in colours.items())

    def _by_value(self, found: dict[int, Path], counts: np.ndarray) -> list[str]:
        """Masks of one channel, by their values and how many pixels have each of the 256 that there may be."""
        names, values = self._table.names, sorted(found)
        if self._thresholded:
            values = self._without_loss(found, counts)
        numbered = self._table.values and not (self._table.colours and UNLABELLED not in self._table.values)
        if set(values) in ({0, 255}, {255}) and not numbered and len(names) <= 2:
            if self._declared:
                raise ValueError(
                    f'The masks have no pixels but those of value 0 and of the nodata value that {self._declared} '
                    'declares, which are ignored. If it is a class, remove the declaration (gdal_edit.py -unsetnodata).'
                )
            return self._binary(names)
        levels = [value for value in values if value != UNLABELLED or value in self._table.values]
        if self._table.values:
            return self._by_table_of_values(levels, found)
        if len(names) == 1 and levels == [0, 1]:
            return self._binary(names, 1)
        count = len(names) or max(levels, default=0) + 1
        if not names and count > 2 * len(values) and len(values) <= _MOST_CLASSES:
            self._numbers = {value: number for number, value in enumerate(values)}
            self.palette = None
            self._notes.say(f'masks have {len(values)} grey levels: each is taken as a class, in their order')
            return [f'grey {value}' for value in values]
        unknown = [value for value in levels if value >= count]
        if unknown or count > 255:
            raise ValueError(
                f'The mask {found[unknown[0] if unknown else values[-1]]} has pixels of value '
                f'{some([str(value) for value in unknown or values[-3:]])}, but there are {min(count, 255)} classes, '
                f'numbered 0 to {min(count, 255) - 1} (255 is ignored). Complete the list of classes, or convert the '
                'masks.'
            )
        self._numbers = {number: number for number in range(count)}
        if not names:
            self._notes.say(
                f'no list names the {count} classes: they are numbered. classes.txt (a name a line, from 0 on) gives '
                'names'
            )
        elif len(levels) > 1 and 0 not in levels and len(levels) < count:
            self._notes.say(
                f'no mask has pixels of value 0, which is {names[0]}: if classes are counted from 1, say so in '
                'classes.csv (value,name)'
            )
        return names or [f'class {number}' for number in range(count)]

    def _binary(self, names: list[str], white: int = UNLABELLED) -> list[str]:
        """Black and white: two classes, of which the list may name the white one alone."""
        black = self._table.colours.get((0, 0, 0), 0)
        self._numbers = {0: black, white: 1 - black}
        classes = names if len(names) == 2 else ['background', *(names or ['foreground'])]
        self._notes.say(
            f'masks have the values 0 and {white}: taken as two classes, {classes[black]} and {classes[1 - black]}'
        )
        return classes

    def _by_table_of_values(self, levels: list[int], found: dict[int, Path]) -> list[str]:
        unknown = [value for value in levels if value and value not in self._table.values]
        if unknown:
            raise ValueError(
                f'The mask {found[unknown[0]]} has pixels of value {some([str(value) for value in unknown])}, which '
                f'the table of classes does not have: it has {some([str(value) for value in self._table.values])}. '
                'Complete it.'
            )
        if 0 in levels and 0 not in self._table.values:
            self._notes.say('pixels of value 0 are ignored: the table of classes does not have it')
        self._numbers = self._table.values
        return self._table.names

    def _without_loss(self, found: dict[int, Path], counts: np.ndarray) -> list[int]:
        """Black and white, where masks were compressed with loss and have nothing else."""
        near = counts[:_NEAR].sum() + counts[-_NEAR:].sum() >= _MOSTLY * counts.sum()
        exact = any(0 < value < UNLABELLED and not is_lossy(file) for value, file in found.items())
        if not near or exact or not counts[-_NEAR:].any() or len(self._table.names) > 2 or self._table.values:
            raise ValueError(
                f'The masks were compressed with loss, such as {next(filter(is_lossy, self._files))}, so their values '
                'are no class numbers. Export them as PNG.'
            )
        return [0, 255]

    def _by_colour(self, found: dict[int, Path]) -> list[str]:
        """Masks of three channels, and others beside a table that has their colours."""
        colours = self._table.colours
        if colours:
            self._numbers = {packed(colour): number for colour, number in colours.items()}
            self.palette = list(colours)
            unknown = [value for value, file in found.items() if value not in self._numbers and not is_lossy(file)]
            if unknown:
                raise ValueError(
                    f'The mask {found[unknown[0]]} has pixels of the colour {unpacked(unknown[0])}, which the table '
                    f'of classes does not have: it has {some([str(colour) for colour in colours])}. Complete it.'
                )
            return self._table.names
        lossy = any(is_lossy(file) for file in found.values())
        if len(found) > _MOST_CLASSES or lossy:
            raise ValueError(
                f'The masks are colour images with {len(found)} colours{" and loss of quality" if lossy else ""}, such '
                f'as {next(iter(found.values()))}, and no table says which colour is which class. Write one beside '
                'them: class_dict.csv with the columns name,r,g,b.'
            )
        values = sorted(found)
        self._numbers = {value: number for number, value in enumerate(values)}
        self.palette = [unpacked(value) for value in values]
        self._notes.say(
            f'masks have {len(values)} colours and no table names them: each is a class with its colour as name. '
            'class_dict.csv (name,r,g,b) beside them gives names'
        )
        return ['#{:02x}{:02x}{:02x}'.format(*colour) for colour in self.palette]
