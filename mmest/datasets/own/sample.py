"""What every format is read into: images with their objects or their mask."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import shapely

from mmest.datasets.own.results import visible_files
from mmest.pictures import ImageFile, UnusableImage
from mmest.pictures.formats import ENDINGS
from mmest.pictures.levels import Scale
from mmest.tiles.grid import Box

SPLITS = ('train', 'val', 'test')
#: In masks: ground of no class, which counts nowhere.
UNLABELLED = 255
#: Names of folders that say no more than that images are in them.
IMAGE_FOLDERS = (
    'images', 'image', 'imgs', 'img', 'img_dir', 'jpegimages', 'rgb', 'tiles', 'patches', 'src', 'input',
)  # fmt: skip
#: What is counted of boxes.
CUT = 'boxes that reach beyond their image, cut to it'
_SPLIT_WORDS = dict(
    train='train', training='train', val='val', valid='val', validation='val', test='test', testing='test'
)
_SHOWN = 3
_ROUNDING = 1.0  # pixels


@dataclass
class Thing:
    """An object on an image.

    Attributes:
        label: number of its class.
        box: x0, y0, x1, y1 in pixels.
        shape: its outline in pixels, where the labels have one.
        ignore: neither object nor background.
        cut: most of it is beyond the tile: for a detector neither object nor background.
    """

    label: int
    box: tuple[float, float, float, float]
    shape: shapely.Geometry | None = None
    ignore: bool = False
    cut: bool = False

    @property
    def area(self) -> float:
        """Pixels of the outline, or of the box where there is none."""
        return self.shape.area if self.shape is not None else self.box_area

    @property
    def box_area(self) -> float:
        return (self.box[2] - self.box[0]) * (self.box[3] - self.box[1])


@dataclass
class Sample:
    """An image of the data, or a tile of one.

    Attributes:
        image: the file.
        name: the path below the data's folder, or below one that all images lie in, with ``/``.
        width: in pixels, as the image is shown (a turn in its EXIF data is made).
        height: likewise.
        objects: what is labelled on it, in a data set of objects.
        mask: the file of its mask, in a data set of masks.
        split: ``train``, ``val`` or ``test``; None where the data does not say.
        group: images of one group show the same ground and stay in one split.
        window: the part of the image that a tile shows.
        bands: of the image that are shown; see :class:`mmest.pictures.ImageFile`.
    """

    image: Path
    name: str
    width: int
    height: int
    objects: list[Thing] = field(default_factory=list)
    mask: Path | None = None
    split: str | None = None
    group: str = ''
    window: Box | None = None
    bands: tuple[int, ...] | None = None

    def open(self, scale: Scale | None = (0, 1)) -> ImageFile:
        """The image, to look at its header and the numbers of its pixels; to see them as 8 bits by their scale."""
        return ImageFile(self.image, scale=scale, bands=self.bands)


class Notes:
    """What the user should know about how the data was understood, and what was left out of it."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._counted: dict[str, list[str]] = defaultdict(list)

    def say(self, sentence: str) -> None:
        """Say something once."""
        if sentence not in self._said:
            self._said.append(sentence)

    def count(self, what: str, example: str) -> None:
        """Count one more case of something."""
        self._counted[what].append(example)

    def lines(self) -> list[str]:
        """All of it, cases by number with the first of them."""
        return self._said + [f'{what}: {len(found)} ({some(found)})' for what, found in self._counted.items()]


@dataclass
class OwnData:
    """A user's data set as it was found.

    Attributes:
        root: its folder.
        format: what it is, in words.
        classes: names by number.
        samples: its images.
        labels: ``boxes``, ``outlines`` (which have boxes too) or ``masks``.
        notes: what the user should know.
        read_mask: class numbers (H×W, 255 where unlabelled) of a mask file, in a data set of masks.
        palette: a colour for each class, RGB, where the labels say it.
        rasters: whether the images are georeferenced ground.
        elsewhere: folders outside of its own that images or labels lie in.
    """

    root: Path
    format: str
    classes: list[str]
    samples: list[Sample]
    labels: str
    notes: Notes
    read_mask: Callable[[Path], np.ndarray] | None = None
    palette: list[tuple[int, int, int]] | None = None
    rasters: bool = False
    elsewhere: list[Path] = field(default_factory=list)


def name_of(source: Path) -> str:
    """What data is called: a folder by its whole name, dots and all, a file without its ending."""
    return source.absolute().stem if source.is_file() else source.absolute().name


def some(names: Sequence[str]) -> str:
    """The first names of many."""
    return ', '.join(str(name) for name in names[:_SHOWN]) + (', ...' if len(names) > _SHOWN else '')


def image_files(folder: Path) -> list[Path]:
    """All images below a folder, in order; see :func:`visible_files`."""
    return sorted(path for path in visible_files(folder) if path.suffix.lower() in ENDINGS)


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of an image as it is seen, from its header.

    Raises:
        UnusableImage: it is no image.
    """
    # Whatever its numbers and its bands are: those that are shown are looked at later.
    try:
        image = ImageFile(path, scale=(0, 1), bands=(1,))
    except UnusableImage:  # as JPEG 2000 without rasterio, of which no band is chosen
        image = ImageFile(path, scale=(0, 1))
    with image:
        return image.size


def inside(box: tuple, sample: Sample) -> tuple[float, float, float, float] | None:
    """The part of x0, y0, x1, y1 on the image; None where there is none, or a corner is no number."""
    if not all(map(math.isfinite, box)):
        return None
    x0, y0 = max(box[0], 0.0), max(box[1], 0.0)
    x1, y1 = min(box[2], float(sample.width)), min(box[3], float(sample.height))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def leaves(box: tuple, sample: Sample) -> bool:
    """Whether x0, y0, x1, y1 reaches beyond the image by more than rounding makes."""
    return min(box[:2]) < -_ROUNDING or box[2] > sample.width + _ROUNDING or box[3] > sample.height + _ROUNDING


def polygons_of(shape: shapely.Geometry) -> list[shapely.Polygon]:
    """Each part of a shape that has an area."""
    found: list[shapely.Polygon] = []
    for part in shapely.get_parts(shape).tolist():
        if part.geom_type in ('MultiPolygon', 'GeometryCollection'):
            found += polygons_of(part)
        elif part.geom_type == 'Polygon' and part.area > 0:
            found.append(part)
    return found


def cut_to(shape: shapely.Geometry, box: tuple[float, float, float, float]) -> shapely.Geometry | None:
    """The part of a shape in x0, y0, x1, y1; None where it has no area."""
    parts = polygons_of(shapely.intersection(shape, shapely.box(*box)))
    return shapely.MultiPolygon(parts) if len(parts) > 1 else parts[0] if parts else None


def split_of(*names: str) -> str | None:
    """The split that the name of a folder or a file says: ``train2017``, ``valid``, ``instances_val.json``."""
    for name in names:
        for word in re.findall('[a-z]+', name.lower()):
            if word in _SPLIT_WORDS:
                return _SPLIT_WORDS[word]
    return None


def class_counts(samples: Sequence[Sample]) -> Counter:
    """Objects by class number."""
    return Counter(one.label for sample in samples for one in sample.objects if not one.ignore)
