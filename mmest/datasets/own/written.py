"""Images, objects and masks of a set that is prepared, as mmdet and mmseg read them."""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import shapely
from pycocotools import mask as mask_tools

from mmest.datasets.own.no_data import Labels, states_nodata
from mmest.datasets.own.sample import UNLABELLED, OwnData, Sample
from mmest.datasets.preparation.coco import annotation, write_coco
from mmest.files import beside, write_bytes
from mmest.pictures.levels import Scale


def write_images(
    samples: list[Sample], folder: Path, levels: Scale | None, bring: Callable[[Path, Path], object]
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
        picture = tiles[0].open(levels)
        try:
            for tile in tiles:
                _write_png(folder / tile.name, picture.read(tile.window)[..., ::-1])
        finally:
            picture.close()


def _write_png(path: Path, pixels: np.ndarray) -> None:
    write_bytes(path, cv2.imencode('.png', pixels)[1].tobytes())


def write_objects(path: Path, classes: list[str], samples: list[Sample]) -> None:
    """A COCO file of images and their objects."""
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


def write_masks(out: Path, split: str, samples: list[Sample], data: OwnData, classes: list[str]) -> None:
    """A mask for each image, named like it with ``.png`` behind, and the list of the images.

    Raises:
        ValueError: what is read as alpha takes most of the pixels of a class.
    """
    whole: dict[Path, np.ndarray] = {}
    labels = Labels(classes)
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
            labels.take_out(pixels, sample)
        elif states_nodata(sample) and labels.take_out(pixels, sample):
            data.notes.count('images with labels on ground without data (nodata), which is ignored', sample.name)
        _write_png(out / 'masks' / f'{sample.name}.png', np.ascontiguousarray(pixels))
    labels.check(data.notes)
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
