"""Patches of a DOTA picture: their names, and which objects they show."""

import re

import numpy as np
import shapely

from mmest.datasets.preparation.coco import annotation
from mmest.tiles.geometry import polygons, shorter_side, smallest_rectangle
from mmest.tiles.grid import Box

SIZE, OVERLAP = 1024, 200
# The share of its box that a patch must show of an object for it to count there.
VISIBLE = 0.7
_NAME = re.compile(r'(.+)__(\d+)__(\d+)\.png')


def patch_name(picture: str, box: Box) -> str:
    """File name of a patch: the picture, and the corner of the patch in it."""
    return f'{picture}__{box[0]}__{box[1]}.png'


def parse_patch_name(name: str) -> tuple[str, int, int]:
    """Picture, x and y of a patch.

    Raises:
        ValueError: this is not the name of a patch.
    """
    match = _NAME.fullmatch(name)
    if not match:
        raise ValueError(f'Expected the file name of a patch, such as P0006__824__0.png, but got "{name}".')
    return match[1], int(match[2]), int(match[3])


def patch_objects(objects: list[dict], patches: list[Box], size: tuple[int, int]) -> list[list[dict]]:
    """The objects that each patch of a picture shows, in its coordinates.

    An object counts where at least ``VISIBLE`` of its box is shown; other pieces are to be ignored. Of one that no
    patch shows so much of, every piece counts that no other patch shows as a part of its own: it is learned, and the
    merging can put it together again. An oriented box stays whole, its corners outside of the patch, where at least
    ``VISIBLE`` is shown; of the other pieces it is the smallest rectangle around what is shown. What is narrower than a
    pixel in a patch is not in it, nor is a slanted object that its straight box alone reaches.

    Args:
        objects: annotations of the whole picture.
        patches: all its patches.
        size: its width and height.
    """
    if not objects:
        return [[] for _ in patches]
    boxes = np.array([one['bbox'] for one in objects])
    whole = _intersect(np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]), np.array([0, 0, *size]))
    pieces = _intersect(whole[:, None], np.array(patches))
    sides = pieces[..., 2:] - pieces[..., :2]
    share = sides.prod(-1) / np.maximum((whole[:, 2:] - whole[:, :2]).prod(-1), 1e-9)[:, None]
    counts = share >= VISIBLE
    for number in np.flatnonzero(share.max(1) < VISIBLE):
        counts[number] = ~_inside_another(pieces[number])
    shown: list[list[dict]] = [[] for _ in patches]
    for number, patch in np.argwhere(sides.min(-1) >= 1):
        x, y = pieces[number, patch, :2] - patches[patch][:2]
        width, height = sides[number, patch]
        corners = _oriented(objects[number], patches[patch], share[number, patch] >= VISIBLE)
        if corners is not None:
            shown[patch].append(
                annotation(
                    objects[number]['category_id'] - 1,
                    [float(x), float(y), float(width), float(height)],
                    bool(objects[number]['iscrowd'] or not counts[number, patch]),
                    corners,
                )
            )
    return shown


def _oriented(whole: dict, patch: Box, stays_whole: bool) -> list[float] | None:
    """The corners of an object in a patch; nothing where the annotation has none, None where the patch shows none of
    it.
    """
    if 'segmentation' not in whole:
        return []
    corners = np.array(whole['segmentation'][0], float)
    if not stays_whole:
        piece = shapely.intersection(polygons(corners), shapely.box(*patch))[0]
        points = shapely.get_coordinates(piece)
        if shorter_side(points) < 1:
            return None
        corners = smallest_rectangle(points)
    return [round(float(value), 2) for value in corners - np.tile(patch[:2], 4)]


def _intersect(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Common parts of boxes x0, y0, x1, y1; without sides where there is none."""
    low = np.maximum(boxes[..., :2], others[..., :2])
    return np.concatenate([low, np.maximum(low, np.minimum(boxes[..., 2:], others[..., 2:]))], -1)


def _inside_another(pieces: np.ndarray) -> np.ndarray:
    """Which pieces are smaller than one that contains them."""
    low, high = pieces[:, :2], pieces[:, 2:]
    contained = (low[:, None] >= low).all(-1) & (high[:, None] <= high).all(-1)
    return (contained & ~contained.T).any(1)
