"""Pascal VOC XML: flat exports such as Roboflow's, and the layout of VOCdevkit."""

import math
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import shapely

from mmest.datasets.own.image_sets import listed_splits
from mmest.datasets.own.results import visible_files
from mmest.datasets.own.sample import (
    CUT,
    Notes,
    OwnData,
    Sample,
    Thing,
    cut_to,
    image_files,
    inside,
    leaves,
    size_of,
    some,
    split_of,
)
from mmest.pictures.formats import ENDINGS

NAME = 'Pascal VOC'
# What tools write for difficult objects, and for others.
_YES, _NO = ('1', 'true', 'yes'), ('', '0', 'false', 'no', 'unspecified')
_ENCODING = re.compile(rb'(?:\xef\xbb\xbf)?\s*<\?xml[^>]*?\sencoding\s*=\s*["\']([\w.:-]+)["\']')
# Files that state one of these often hold letters of the largest of them.
_CHINESE = dict.fromkeys(('gb2312', 'gbk', 'gb_2312-80', 'euc-cn'), 'gb18030')


def finds(path: Path) -> bool:
    """Whether there is XML of annotated images."""
    return path.is_dir() and any(_is_annotation(file) for file in _xml(path)[:3])


def _xml(path: Path) -> list[Path]:
    """Annotations; those of GDAL, which lie beside rasters, are no such."""
    return sorted(one for one in visible_files(path) if one.suffix.lower() == '.xml' and '.aux.' not in one.name)


def _is_annotation(file: Path) -> bool:
    """Damaged ones too, which are named when they are read."""
    try:
        return _parse(file).tag == 'annotation'
    except ValueError:
        return b'<annotation' in file.read_bytes()


def _parse(file: Path) -> ElementTree.Element:
    """The root of an XML file.

    Raises:
        ValueError: it is damaged, or in an encoding that is not known.
    """
    content = file.read_bytes()
    stated = _ENCODING.match(content)
    encoding = stated[1].decode().lower() if stated else ''
    try:
        # The parser knows no encoding of several bytes; as text it passes over what the file states.
        return ElementTree.fromstring(content.decode(_CHINESE.get(encoding, encoding)) if encoding else content)
    except LookupError:
        raise ValueError(f'{file} states the encoding {encoding}, which is not known. Save it as UTF-8.') from None
    except (ElementTree.ParseError, UnicodeError) as error:
        raise ValueError(f'{file} is not valid XML: {error}. Copy or export it again.') from error


def read(path: Path) -> OwnData:
    """Read all annotations below a folder.

    Raises:
        FileNotFoundError: most images are not there.
        ValueError: an annotation cannot be read, or which image is its own cannot be known.
    """
    notes = Notes()
    images = image_files(path)
    by_stem: dict[str, list[Path]] = {}
    for image in images:
        by_stem.setdefault(image.stem, []).append(image)
    splits = listed_splits(path, 'Main', {file.stem for file in (*images, *_xml(path))}, notes)
    first = 1.0 if _counts_from_one(path) else 0.0
    if first:
        notes.say('corners are counted from 1, as in VOCdevkit')
    classes: dict[str, int] = {}
    samples, missing = [], []
    annotated: dict[Path, Path] = {}
    for file in _xml(path):
        root = _parse(file)
        if root.tag != 'annotation':
            continue
        image = _image(file, root, by_stem, path)
        if image is None:
            missing.append(file.stem)
            continue
        if image in annotated:
            raise ValueError(
                f'{annotated[image]} and {file} both annotate {image}. Remove one of them, or put each into a folder '
                'with its image.'
            )
        annotated[image] = file
        split = splits.get(file.stem) or splits.get(image.stem) or split_of(*image.relative_to(path).parent.parts)
        sample = Sample(image, image.relative_to(path).as_posix(), *size_of(image), split=split)
        _check_size(file, root, sample)
        for one in root.iter('object'):
            thing = _thing(file, one, classes, first, sample, notes)
            if thing is None:
                notes.count('boxes without area, or outside of their image, left out', sample.name)
            else:
                sample.objects.append(thing)
        samples.append(sample)
    if len(missing) > len(samples):
        raise FileNotFoundError(
            f'{len(missing)} of {len(missing) + len(samples)} annotations below {path} have no image: '
            f'{some(missing)}. Put images with these names beside them, ending with {", ".join(ENDINGS)}.'
        )
    for name in missing:
        notes.count('annotations without an image, left out', name)
    for image in images:
        if image not in annotated and not _is_mask(image):
            notes.count('images without an annotation file, left out', image.relative_to(path).as_posix())
    _sort(classes, samples)
    outlines = any(one.shape is not None for sample in samples for one in sample.objects)
    return OwnData(path, NAME, sorted(classes), samples, 'outlines' if outlines else 'boxes', notes)


def _counts_from_one(path: Path) -> bool:
    """VOCdevkit counts pixels from 1, and labels every corner in whole numbers; CVAT writes its layout with fractions,
    from 0.
    """
    if not any(path.glob('**/JPEGImages')):
        return False
    corners = [one.text or '0' for file in _xml(path) for one in _parse(file).iter() if one.tag in ('xmin', 'ymin')]
    return all(_is_whole(value) and float(value) >= 1 for value in corners)


def _is_whole(number: str) -> bool:
    try:
        return float(number).is_integer()
    except ValueError:  # which is said when the object is read
        return False


def _is_mask(image: Path) -> bool:
    return 'Segmentation' in image.parent.name or image.parent.name.lower() in ('mask', 'masks', 'trimaps')


def _image(file: Path, root: ElementTree.Element, by_stem: dict[str, list[Path]], home: Path) -> Path | None:
    """The image of the annotation's own name, or of the name that it states, but none of another split; of several the
    one that shares most folders with it.

    Raises:
        ValueError: two share as many.
    """
    stated = (root.findtext('filename') or '').replace('\\', '/')
    found = by_stem.get(file.stem) or by_stem.get(Path(stated).stem) or []
    if Path(stated).suffix:
        found = [image for image in found if image.name == Path(stated).name] or found
    found = [image for image in found if not _is_mask(image)]
    splits = {image: split_of(*image.relative_to(home).parent.parts) for image in (file, *found)}
    found = [image for image in found if None in (splits[image], splits[file]) or splits[image] == splits[file]]

    def shared(image: Path) -> int:
        return (Counter(image.parent.parts) & Counter(file.parent.parts)).total()

    found = sorted(found, key=shared, reverse=True)
    if len(found) > 1 and shared(found[0]) == shared(found[1]):
        raise ValueError(
            f'{file} may annotate {found[0]} or {found[1]}. Put it into a folder with its image, or give the images '
            'names of their own.'
        )
    return found[0] if found else None


def _check_size(file: Path, root: ElementTree.Element, sample: Sample) -> None:
    try:
        stated = tuple(int(float(root.findtext(f'size/{side}') or 0)) for side in ('width', 'height'))
    except (ValueError, OverflowError):
        raise ValueError(f'{file} has a size that is not of numbers. Export it again.') from None
    if all(stated) and stated != (sample.width, sample.height):
        raise ValueError(
            f'{file} says that its image has {stated[0]}×{stated[1]} pixels, but {sample.name} has '
            f'{sample.width}×{sample.height}: its boxes would be at the wrong places. Export both together.'
        )


def _thing(
    file: Path, one: ElementTree.Element, classes: dict, first: float, sample: Sample, notes: Notes
) -> Thing | None:
    name = (one.findtext('name') or '').strip()
    if not name:
        raise ValueError(f'{file} has an object without a name. Export it again.')
    try:
        x0, y0, x1, y1 = (float(one.findtext(f'bndbox/{side}')) for side in ('xmin', 'ymin', 'xmax', 'ymax'))
    except (TypeError, ValueError):
        if one.find('bndbox') is None and one.find('robndbox') is not None:
            raise ValueError(
                f'{file} has an object "{name}" with an oriented box (robndbox), which is not read from Pascal VOC. '
                'Export straight boxes (bndbox), or oriented ones as YOLO.'
            ) from None
        raise ValueError(f'{file} has an object "{name}" without four numbers in bndbox. Export it again.') from None
    stated = (x0 - first, y0 - first, x1, y1)
    box = inside(stated, sample)
    if box is None:
        return None
    if leaves(stated, sample):
        notes.count(CUT, sample.name)
    try:
        outline = _outline(one, sample)
    except (TypeError, ValueError):
        raise ValueError(
            f'{file} has an object "{name}" with a polygon that is not of numbers. Export it again.'
        ) from None
    return Thing(classes.setdefault(name, len(classes)), box, outline, _is_difficult(file, one, name))


def _is_difficult(file: Path, one: ElementTree.Element, name: str) -> bool:
    said = (one.findtext('difficult') or '').strip().lower()
    if said not in _YES + _NO:
        raise ValueError(f'{file} has an object "{name}" with difficult "{said}". Expected 0 or 1.')
    return said in _YES


def _outline(one: ElementTree.Element, sample: Sample) -> shapely.Geometry | None:
    """The polygon that Roboflow adds, as x1, y1, x2, ..., cut to the image."""
    values = {point.tag: float(point.text) for point in one.findall('polygon/*')}
    if not all(map(math.isfinite, values.values())):
        raise ValueError('a point is nowhere')
    points = []
    while f'x{len(points) + 1}' in values and f'y{len(points) + 1}' in values:
        points.append((values[f'x{len(points) + 1}'], values[f'y{len(points) + 1}']))
    if len(points) < 3:
        return None
    return cut_to(shapely.make_valid(shapely.Polygon(points)), (0, 0, sample.width, sample.height))


def _sort(classes: dict[str, int], samples: list[Sample]) -> None:
    """Number classes in the order of their names: files come in any order."""
    new = {classes[name]: number for number, name in enumerate(sorted(classes))}
    for sample in samples:
        for one in sample.objects:
            one.label = new[one.label]
