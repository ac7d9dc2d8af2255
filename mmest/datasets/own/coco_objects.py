"""Objects of COCO JSON: boxes, outlines, run lengths, and rectangles that CVAT turned."""

import math
from pathlib import Path

import numpy as np
import shapely
from pycocotools import mask as mask_tools
from shapely import affinity

from mmest.datasets.checks.boxes import areas_of, boxes_of, cut, left_out, refuse_corners
from mmest.datasets.checks.outlines import APART, FLAT, SHORT, readable
from mmest.datasets.own.sample import CUT, Notes, Sample, Thing, cut_to, inside

_ALIKE = 0.5  # of a box and the one around its outline, as intersection over union
_ROUNDING = 1.0  # pixels between them, as small objects have


def add_objects(file: Path, annotations: list[dict], samples: list[Sample], labels: dict, notes: Notes) -> None:
    """Give samples their objects.

    Args:
        file: for messages.
        annotations: of images that are there.
        samples: the image of each.
        labels: class numbers by category.
        notes: what is left out is counted here.

    Raises:
        ValueError: what an annotation means is in doubt, or more than half of the outlines cannot be read, or
            lie elsewhere than their boxes.
    """
    ids = [one.get('id') for one in annotations]
    for one in annotations:
        one['bbox'] = _numbers(one.get('bbox'))
    boxes = boxes_of(annotations, file)
    turns = np.array([_turn(one) for one in annotations])
    sizes = np.array([(sample.width, sample.height) for sample in samples], float).reshape(-1, 2)
    # A turned rectangle may reach beyond its image before it is turned.
    straight = np.where((turns == 0)[:, None], boxes, np.nan)
    refuse_corners(straight, sizes, areas_of(annotations), ids, file)
    beyond = cut(straight, sizes)[1]
    unread: dict[str, np.ndarray] = {}
    for number, (one, sample) in enumerate(zip(annotations, samples)):
        place = f'annotation {one.get("id")} of {sample.name}'
        if one.get('category_id') not in labels:
            raise ValueError(
                f'{file}: {place} has the category {one.get("category_id")}, which is not among {sorted(labels)}. '
                'Export it again.'
            )
        given = one.get('segmentation')
        outline, reason = readable(given, (sample.width, sample.height))
        shape = _outline(outline, sample) if outline else None
        if outline and shape is None:
            reason = FLAT
        elif shape is not None and _apart(boxes[number], shape, sample):
            reason, shape = APART, None
        if given and reason:
            unread.setdefault(reason, np.zeros(len(ids), bool))[number] = True
            notes.count(f'objects that {reason}, of which the box is used', place)
        elif given and len(outline) < len(given):
            notes.count('outlines of which some polygons cannot be read and are left out', place)
        thing = _thing(labels[one['category_id']], boxes[number], shape, turns[number], sample)
        if thing is None:
            notes.count('boxes without area, or outside of their image, left out', place)
            continue
        if beyond[number]:
            notes.count(CUT, place)
        if turns[number]:
            notes.count('turned rectangles (rotation), read as their outlines', place)
        thing.ignore = _is_crowd(one, file)
        if thing.ignore:
            notes.count('crowd regions (iscrowd), neither object nor background', place)
        sample.objects.append(thing)
    # Points and lines in place of an outline are what some tools write for boxes.
    outlined = np.array([bool(one.get('segmentation')) for one in annotations], bool)
    wrong = {reason: mask[outlined] for reason, mask in unread.items() if reason not in (SHORT, FLAT)}
    left_out([one.get('id') for one in annotations if one.get('segmentation')], wrong, file)


def _numbers(box: object) -> object:
    """A box whose numbers may be written as text; anything else as it is."""
    try:
        return [float(value) for value in box] if isinstance(box, list) else box
    except (TypeError, ValueError):
        return box


def _is_crowd(one: dict, file: Path) -> bool:
    value = one.get('iscrowd')
    if value not in (None, 0, 1, '0', '1'):
        raise ValueError(
            f'{file}: annotation {one.get("id")} has iscrowd {value!r}. Expected 0 or 1 (an area that counts neither '
            'as object nor as background).'
        )
    return bool(int(value or 0))


def _turn(one: dict) -> float:
    """By how many degrees CVAT turned a rectangle about its middle: clockwise, and written beside the straight one."""
    attributes = one.get('attributes')
    turn = attributes.get('rotation') if isinstance(attributes, dict) and not one.get('segmentation') else None
    return float(turn) if isinstance(turn, (int, float)) and math.isfinite(turn) else 0.0


def _thing(label: int, box: np.ndarray, outline: shapely.Geometry | None, turn: float, sample: Sample) -> Thing | None:
    """An object, None where nothing of it is on the image.

    Args:
        label: its class number.
        box: x, y, width, height, NaN where there is none.
        outline: its outline on the image, where it has one.
        turn: degrees by which the box is turned.
        sample: its image.
    """
    x, y, width, height = box.tolist()
    if turn and min(width, height) > 0:
        turned = affinity.rotate(shapely.box(x, y, x + width, y + height), turn)
        outline = cut_to(turned, (0, 0, sample.width, sample.height))
        return Thing(label, outline.bounds, outline) if outline is not None else None
    if outline is not None and np.isnan(box).all():
        return Thing(label, outline.bounds, outline)
    corners = inside((x, y, x + width, y + height), sample)
    return Thing(label, corners, outline) if corners else None


def _apart(box: np.ndarray, outline: shapely.Geometry, sample: Sample) -> bool:
    """Whether a box, x, y, width, height, has less than half in common with the one around an outline, by more than a
    pixel.
    """
    x, y, width, height = box.tolist()
    corners = inside((x, y, x + width, y + height), sample)
    if corners is None or np.abs(np.subtract(corners, outline.bounds)).max() <= _ROUNDING:
        return False
    stated, drawn = shapely.box(*corners), shapely.box(*outline.bounds)
    return stated.intersection(drawn).area < _ALIKE * stated.union(drawn).area


def _outline(given: list | dict, sample: Sample) -> shapely.Geometry | None:
    """Polygons or runs that can be read as one outline on the image; None where it has no area."""
    whole = _outline_of_runs(given) if isinstance(given, dict) else _outline_of(given)
    return None if whole is None else cut_to(whole, (0, 0, sample.width, sample.height))


def _outline_of(polygons: list) -> shapely.Geometry | None:
    """Polygons x1, y1, x2, y2, ... as one outline; None where none has an area."""
    found = [shapely.make_valid(shapely.Polygon(np.reshape(flat, (-1, 2)))) for flat in polygons]
    found = [polygon for polygon in found if polygon.area > 0]
    return shapely.union_all(found) if found else None


def _outline_of_runs(rle: dict) -> shapely.Geometry | None:
    """A mask of run lengths as one outline, exact to the pixel."""
    if isinstance(rle['counts'], list):
        rle = mask_tools.frPyObjects(rle, *rle['size'])
    mask = np.pad(mask_tools.decode(rle), ((1, 1), (0, 0))).astype(np.int8)
    columns, starts = np.nonzero((np.diff(mask, axis=0) == 1).T)
    _, ends = np.nonzero((np.diff(mask, axis=0) == -1).T)
    return shapely.union_all(shapely.box(columns, starts, columns + 1, ends)) if len(columns) else None
