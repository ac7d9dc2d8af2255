"""Annotation files in COCO format, as mmdet's CocoDataset reads them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmest.files import write_json
from mmest.tiles.geometry import shorter_side


def horizontal(polygon: Sequence[float]) -> list[float]:
    """The smallest x, y, width, height around the corners x1, y1, x2, y2, ..."""
    x, y = polygon[::2], polygon[1::2]
    return [min(x), min(y), max(x) - min(x), max(y) - min(y)]


def has_no_area(polygon: Sequence[float]) -> bool:
    """Whether corners x1, y1, ... lie in one line, to a tenth of a pixel: the loss of such a box is infinite."""
    return shorter_side(np.reshape(polygon, (-1, 2))) < 0.1


def clip(box: Sequence[float], x0: float, y0: float, x1: float, y1: float) -> list[float]:
    """The part of x, y, width, height inside a rectangle; its sides are 0 where there is none."""
    left, top = max(box[0], x0), max(box[1], y0)
    return [left, top, max(0, min(box[0] + box[2], x1) - left), max(0, min(box[1] + box[3], y1) - top)]


def annotation(label: int, box: Sequence[float], ignore: bool, polygon: Sequence[float] = ()) -> dict:
    """An object, without the ids that :func:`write_coco` gives.

    Args:
        label: index of its class.
        box: x, y, width, height.
        ignore: neither an object nor background: mmdet and COCO's metric know this as a crowd.
        polygon: its corners.
    """
    return dict(
        category_id=label + 1,
        bbox=list(box),
        area=box[2] * box[3],
        iscrowd=int(ignore),
        **(dict(segmentation=[list(polygon)]) if polygon else {}),
    )


def write_coco(path: Path, classes: Sequence[str], images: list[dict], annotations: list[list[dict]]) -> None:
    """Number images and objects and write them.

    Args:
        path: the file.
        classes: their order is that of the labels.
        images: file_name, width and height of each.
        annotations: the objects of each image.
    """
    numbered = [dict(one, image_id=number) for number, objects in enumerate(annotations, start=1) for one in objects]
    write_json(
        path,
        dict(
            images=[dict(image, id=number) for number, image in enumerate(images, start=1)],
            annotations=[dict(one, id=number) for number, one in enumerate(numbered, start=1)],
            categories=[dict(id=number, name=name) for number, name in enumerate(classes, start=1)],
        ),
        indent=None,
    )
