"""A user's data as a set that mmdet and mmseg read: COCO JSON, or lists of images and masks. The data stays."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import shapely
from pycocotools import mask as mask_tools

from mmest.datasets.own import georaster
from mmest.datasets.own.cutting import cut, few_scenes
from mmest.datasets.own.detect import read
from mmest.datasets.own.levels import find_levels
from mmest.datasets.own.results import DESCRIPTION, LOCK, visible_files
from mmest.datasets.own.sample import SPLITS, OwnData, Sample, some
from mmest.datasets.preparation.coco import annotation, write_coco
from mmest.files import beside, write_bytes, write_json
from mmest.pictures import ImageFile
from mmest.pictures.colours import class_colours

UNLABELLED = 255
_VERSION = 5
_WHOLE = 1.25  # images up to this many times the size are not cut
_LARGEST_IN_TILES = 3  # objects of up to this part of a tile's side are mostly whole on one
#: Of training and prediction, where none is asked for: usual patches of overhead images.
DEFAULT_SIZES = dict(detection=800, segmentation=512)


@dataclass
class Prepared:
    """A prepared set.

    Attributes:
        folder: where it lies.
        task: ``detection`` or ``segmentation``.
        format: of the user's data, in words.
        source: the user's data.
        classes: names by number.
        palette: a colour for each, RGB.
        images: the folder that image names are relative to.
        counts: images by split.
        size: the longest side of a training image, in pixels as the network sees it.
        scale: pixels of the network by pixel of the image; 1 but for large images with large objects.
        levels: the values that become 0 and 255, of images that have not 8 bits.
        notes: how the data was understood.
    """

    folder: Path
    task: str
    format: str
    source: Path
    classes: list[str]
    palette: list[tuple[int, int, int]]
    images: Path
    counts: dict[str, int]
    size: int
    scale: float
    levels: tuple[float, float] | None
    notes: list[str]

    def labels(self, split: str) -> Path:
        """The COCO file, or the list of image names, of a split."""
        return self.folder / f'{split}{".json" if self.task == "detection" else ".txt"}'


def prepare(
    source: Path,
    out: Path,
    task: str | None = None,
    size: int | None = None,
    seed: int | None = None,
    copy: bool = False,
) -> Prepared:
    """Prepare a user's data, once: what is there already from the same data is taken again.

    Args:
        source: folder or file; a prepared set is taken as it is.
        out: the folder to write; its description is written last, so a half-written one is begun again.
        task: ``detection`` or ``segmentation``; by default what the labels are for.
        size: side of tiles and of what the network sees, in pixels (default: 800 for objects, 512 for masks).
        seed: of the split (default: 0).
        copy: copy images, for a set that stands alone; otherwise they are read where they are, but for tiles, and
            linked if one of them does not lie in the folder of the data.

    Raises:
        FileNotFoundError: nothing is there, or images are missing.
        ValueError: the format is unknown, labels contradict themselves, or do not suit the task; ``out`` holds the
            data, or files that are not of a prepared set; ``source`` is a prepared set, and another is asked for.
    """
    source, out = Path(source).absolute(), Path(out).absolute()
    if (source / DESCRIPTION).is_file():
        return _as_asked(source, out if copy else source, task, size, seed)
    _check_out(out, source)
    key = _key(source, task, size, seed or 0, copy)
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open('w') as lock:  # processes of one training prepare it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _prepare(source, out, task, size, seed, copy, key)


def _check_out(out: Path, source: Path) -> None:
    """Files of the user's are neither removed nor written over: a set has names that theirs may have, as train.json.

    Raises:
        ValueError: the folder holds such files, or is none.
    """
    other = 'choose a folder that is new or empty (for a training, by --work-dir)'
    if source.resolve().is_relative_to(out.resolve()):
        raise ValueError(f'The data {source} lies in {out}, where the prepared set would be written over it; {other}.')
    if out.exists() and not out.is_dir():
        raise ValueError(f'{out} is a file, and the prepared set is a folder; {other}.')
    found = sorted(entry.name for entry in out.iterdir()) if out.exists() else []
    if not {DESCRIPTION, LOCK} & set(found) and (theirs := [name for name in found if not name.startswith('.')]):
        raise ValueError(
            f'{out} holds files that are of no prepared set ({some(theirs)}) and might be written over; {other}.'
        )


def _prepare(
    source: Path, out: Path, task: str | None, size: int | None, seed: int | None, copy: bool, key: str
) -> Prepared:
    if (out / DESCRIPTION).is_file() and _is_of(key, json.loads((out / DESCRIPTION).read_text())):
        return load(out)
    data = read(source, segments=None if task is None else task == 'segmentation')
    task = task or ('segmentation' if data.labels == 'masks' else 'detection')
    _check_task(data, task)
    levels = find_levels(sorted({sample.image for sample in data.samples}))
    if levels:
        data.notes.say(
            f'images have not 8 bits: {levels[0]:g} becomes black and {levels[1]:g} white, here and in prediction'
        )
    scale, longest = _cut_or_scale(data, task, size, seed or 0)
    if data.labels != 'masks' and not any(one.objects for one in data.samples if one.split == 'train'):
        raise ValueError(
            f'{source} is {data.format}, and none of the images that train has an object: the labels are missing, or '
            'lie where they are not looked for.'
        )
    classes, palette = data.classes, data.palette
    if task == 'segmentation' and data.labels != 'masks' and 'background' not in classes:
        classes = ['background', *classes]
        data.notes.say('ground outside of all outlines is the class "background"')
    if task == 'segmentation':
        for sample in data.samples:
            for _ in filter(lambda one: one.shape is None and not one.ignore, sample.objects):
                data.notes.count('boxes without an outline, whose ground is ignored', sample.name)
    palette = class_colours(classes, palette).tolist()
    tiled = any(sample.window for sample in data.samples)
    for split in SPLITS:
        (out / f'{split}.json').unlink(missing_ok=True)
        (out / f'{split}.txt').unlink(missing_ok=True)
    (out / DESCRIPTION).unlink(missing_ok=True)
    linked = not (copy or tiled) and not all(sample.image.is_relative_to(data.root) for sample in data.samples)
    images = out / 'images' if copy or tiled or linked else data.root
    if images != data.root:
        _write_images(data.samples, images, levels, os.symlink if linked else shutil.copyfile)
    counts = {}
    for split in SPLITS:
        samples = [sample for sample in data.samples if sample.split == split]
        if samples:
            counts[split] = len(samples)
            if task == 'detection':
                _write_objects(out / f'{split}.json', data.classes, samples)
            else:
                _write_masks(out, split, samples, data, classes)
    prepared = Prepared(
        out, task, data.format, source, classes, [tuple(c) for c in palette[: len(classes)]], images, counts, longest,
        scale, levels, data.notes.lines(),
    )  # fmt: skip
    elsewhere = {str(folder): _digest_of(_files_in(folder)) for folder in data.elsewhere}
    asked = dict(size=size, seed=seed or 0)
    write_json(out / DESCRIPTION, dict(_description(prepared), key=key, elsewhere=elsewhere, asked=asked))
    return prepared


def load(folder: Path) -> Prepared:
    """A set that was prepared before.

    Raises:
        FileNotFoundError: it is not there.
    """
    file = Path(folder) / DESCRIPTION
    if not file.is_file():
        raise FileNotFoundError(f'{folder} is no prepared data set: it has no {DESCRIPTION}.')
    found = json.loads(file.read_text())
    for own in ('key', 'elsewhere', 'asked'):
        found.pop(own, None)
    found.update(folder=Path(folder).absolute(), source=Path(found['source']))
    found['images'] = Path(folder).absolute() / found['images']
    found['palette'] = [tuple(colour) for colour in found['palette']]
    return Prepared(**found)


def _description(prepared: Prepared) -> dict:
    """Plain values; images of a set that stands alone by a relative path, so that it can be moved."""
    images = prepared.images
    inside = images.relative_to(prepared.folder) if images.is_relative_to(prepared.folder) else images
    return dict(asdict(prepared), folder='.', source=str(prepared.source), images=str(inside))


def _as_asked(source: Path, out: Path, task: str | None, size: int | None, seed: int | None) -> Prepared:
    """A prepared set, unless something else is asked for than it is.

    Raises:
        ValueError: it has another task, size or seed, or shall be written to another folder.
    """
    prepared, asked = load(source), json.loads((source / DESCRIPTION).read_text()).get('asked', {})
    again = f'make it again from {prepared.source} (mmest data make)'
    if task not in (None, prepared.task):
        raise ValueError(f'{source} was prepared for {prepared.task}; for {task} {again}.')
    if size not in (None, prepared.size, asked.get('size')):
        raise ValueError(f'{source} was prepared for {prepared.size} pixels; leave --size out, or for {size} {again}.')
    if seed not in (None, asked.get('seed', 0)):
        raise ValueError(
            f'{source} was split with seed {asked.get("seed", 0)}; leave --seed out, or for seed {seed} {again}.'
        )
    if out.resolve() != source.resolve():
        raise ValueError(f'{source} is a prepared set, of which no other is made; for {out} {again}.')
    return prepared


def _check_task(data: OwnData, task: str) -> None:
    if task == 'detection' and data.labels == 'masks':
        raise ValueError(
            f'{data.root} has masks, which segmentation models learn: choose --model upernet, segformer or fcn.'
        )
    if task == 'segmentation' and data.labels == 'boxes':
        raise ValueError(
            f'{data.root} has boxes without outlines, which detection models learn: choose --model faster-rcnn or '
            'retinanet.'
        )


def _cut_or_scale(data: OwnData, task: str, size: int | None, seed: int) -> tuple[float, int]:
    """Cut images that are much larger than what the network sees, or scale them all where objects are large too.

    Returns:
        The scale, and the longest side at that scale.
    """
    wanted = size or DEFAULT_SIZES[task]
    longest = max(max(sample.width, sample.height) for sample in data.samples)
    sides = sorted(max(one.box[2] - one.box[0], one.box[3] - one.box[1]) for s in data.samples for one in s.objects)
    large = sides[len(sides) * 9 // 10] if sides else 0
    scale, limit = 1.0, longest
    if data.rasters and few_scenes(data):
        limit = min(wanted, max(longest // 2, 1))  # so that there are parts to train and parts to validate
    elif data.rasters:
        limit = wanted if longest > _WHOLE * wanted else longest
    elif longest > _WHOLE * wanted and large <= wanted / _LARGEST_IN_TILES:
        limit = wanted
    elif longest > _WHOLE * wanted and task == 'detection':
        scale = wanted / longest
        data.notes.say(
            f'images of up to {longest} pixels have objects of {large:.0f}: they are scaled to {wanted} as a whole'
        )
    elif longest > _WHOLE * wanted:
        limit = wanted
    elif size and task == 'detection':
        scale = size / longest
    before = len(data.samples)
    data.notes.say(cut(data, limit, seed))
    if data.rasters:
        blank = {id(one): one.name for one in data.samples if not one.objects and georaster.blank(one).all()}
        data.samples = [one for one in data.samples if id(one) not in blank]
        for name in blank.values():
            data.notes.count('tiles without any image (nodata), left out', name)
    if limit < longest and any(sample.window for sample in data.samples):
        data.notes.say(
            f'{before} image{"s" * (before != 1)} of up to {longest} pixels: cut into {len(data.samples)} tiles of '
            f'{limit}'
        )
    longest = max(max(sample.width, sample.height) for sample in data.samples)
    return scale, round(longest * scale)


def _key(source: Path, *choices: object) -> str:
    """Changes when a file of the data does."""
    files = visible_files(source if source.is_dir() else source.parent)
    return _digest_of(files, repr((_VERSION, str(source), *choices)))


def _digest_of(files: Iterable[Path], about: str = '') -> str:
    """Of names, sizes and times, and so without reading all images."""
    digest = hashlib.blake2b(about.encode(), digest_size=16)
    for path in sorted(files):
        stat = path.stat()
        digest.update(f'{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n'.encode())
    return digest.hexdigest()


def _is_of(key: str, description: dict) -> bool:
    """Whether a set was prepared from the data as it is now, outside of its folder too."""
    elsewhere = description.get('elsewhere', {})
    return description.get('key') == key and all(
        _digest_of(_files_in(Path(folder))) == seen for folder, seen in elsewhere.items()
    )


def _files_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob('*') if path.is_file())


def _write_images(
    samples: list[Sample], folder: Path, levels: tuple[float, float] | None, bring: Callable[[Path, Path], object]
) -> None:
    """Tiles as PNG; whole images as copies, or as links, by what brings them."""
    by_image: dict[Path, list[Sample]] = {}
    for sample in samples:
        by_image.setdefault(sample.image, []).append(sample)
    for image, tiles in by_image.items():
        if tiles[0].window is None:
            target = folder / tiles[0].name
            target.parent.mkdir(parents=True, exist_ok=True)
            bring(image, beside(target))
            os.replace(beside(target), target)
            continue
        picture = ImageFile(image, scale=levels)
        try:
            for tile in tiles:
                _write_png(folder / tile.name, picture.read(tile.window)[..., ::-1])
        finally:
            picture.close()


def _write_png(path: Path, pixels: np.ndarray) -> None:
    write_bytes(path, cv2.imencode('.png', pixels)[1].tobytes())


def _write_objects(path: Path, classes: list[str], samples: list[Sample]) -> None:
    images = [dict(file_name=sample.name, width=sample.width, height=sample.height) for sample in samples]
    objects = []
    for sample in samples:
        things = []
        for one in sample.objects:
            x0, y0, x1, y1 = one.box
            if one.cut and min(x1 - x0, y1 - y0) < 1:
                continue  # less than a pixel of it is on this tile
            made = annotation(one.label, (x0, y0, x1 - x0, y1 - y0), one.ignore or one.cut)
            if one.shape is not None:
                made.update(area=one.shape.area, segmentation=_segmentation(one.shape, sample.height, sample.width))
            things.append(made)
        objects.append(things)
    write_coco(path, classes, images, objects)


def _segmentation(shape: shapely.Geometry, height: int, width: int) -> list[list[float]] | dict:
    """Rings, or run lengths of a shape with holes, which rings cannot say."""
    parts = [part for part in shapely.get_parts(shape).tolist() if part.geom_type == 'Polygon']
    if not any(part.interiors for part in parts):
        return [shapely.get_coordinates(part.exterior)[:-1].ravel().round(2).tolist() for part in parts]
    mask = np.zeros((height, width), np.uint8, order='F')
    _fill(mask, shape, 1)
    runs = mask_tools.encode(mask)
    return dict(size=runs['size'], counts=runs['counts'].decode())


def _write_masks(out: Path, split: str, samples: list[Sample], data: OwnData, classes: list[str]) -> None:
    """A mask for each image, named like it with ``.png`` behind, and the list of the images."""
    whole: dict[Path, np.ndarray] = {}
    for sample in samples:
        if data.labels == 'masks':
            if sample.image not in whole:
                whole = {sample.image: data.read_mask(sample.mask)}
            pixels = whole[sample.image]
            if sample.window:
                x0, y0, x1, y1 = sample.window
                pixels = pixels[y0:y1, x0:x1]
        else:
            pixels = rasterise(sample, [classes.index(name) for name in data.classes], classes.index('background'))
        if data.rasters:
            pixels[georaster.blank(sample)] = UNLABELLED
        _write_png(out / 'masks' / f'{sample.name}.png', np.ascontiguousarray(pixels))
    write_bytes(out / f'{split}.txt', ('\n'.join(sample.name for sample in samples) + '\n').encode())


def rasterise(sample: Sample, numbers: list[int], background: int) -> np.ndarray:
    """Objects as a mask: a pixel belongs to the smallest object that its centre is in.

    Args:
        sample: the image with its objects.
        numbers: the mask's class number of each label.
        background: the class number of the rest.

    Returns:
        H×W; 255 where an object is to be ignored, and in boxes of objects without an outline.
    """
    mask = np.full((sample.height, sample.width), background, np.uint8)
    for one in sorted(sample.objects, key=lambda thing: -thing.area):
        known = one.shape is not None and not one.ignore
        shape = shapely.box(*one.box) if one.shape is None else one.shape
        _fill(mask, shape, numbers[one.label] if known else UNLABELLED)
    return mask


def _fill(mask: np.ndarray, shape: shapely.Geometry, number: int) -> None:
    """Give a number to the pixels whose centres are in a shape."""
    x0, y0 = (max(0, int(np.floor(value))) for value in shape.bounds[:2])
    x1, y1 = (int(np.ceil(value)) for value in shape.bounds[2:])
    part = mask[y0:y1, x0:x1]
    ys, xs = np.mgrid[y0 : y0 + part.shape[0], x0 : x0 + part.shape[1]] + 0.5
    shapely.prepare(shape)
    part[shapely.contains_xy(shape, xs, ys)] = number
