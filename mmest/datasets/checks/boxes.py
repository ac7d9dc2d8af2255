"""Boxes of a COCO file, all at once as arrays."""

from pathlib import Path

import numpy as np

from mmest.datasets.checks.report import some

# Pixels by which a box may reach beyond its image, as rounding makes it.
_ROUNDING = 1.0
# From this share on, boxes that leave their image are taken for corners, if all of them would fit as such.
_CORNERS = 0.1


def boxes_of(annotations: list[dict], path: Path) -> np.ndarray:
    """The boxes as N×4, NaN where there is none.

    Raises:
        ValueError: a box is not four numbers.
    """
    raw = [one.get('bbox') for one in annotations]
    try:
        boxes = np.array(raw)
    except ValueError:
        boxes = np.array(None)
    if boxes.dtype.kind in 'iuf' and boxes.shape == (len(raw), 4):
        return boxes.astype(float)
    for annotation, box in zip(annotations, raw):
        if box in (None, []):
            continue
        if not isinstance(box, list) or len(box) != 4 or not all(_is_number(value) for value in box):
            raise ValueError(
                f'{path}: annotation {annotation.get("id")} has the bbox {box!r}, but a bbox is [x, y, width, height] '
                'in numbers. Correct the file or export it again.'
            )
    return np.array([box or [np.nan] * 4 for box in raw], float).reshape(-1, 4)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def areas_of(annotations: list[dict]) -> np.ndarray:
    """What they state, N; NaN where it is missing or not positive."""
    return np.array([_positive(one.get('area')) for one in annotations])


def _positive(area: object) -> float:
    return float(area) if isinstance(area, (int, float)) and area > 0 and np.isfinite(area) else np.nan


def around(polygons: object) -> list[float] | None:
    """x, y, width, height around polygons as COCO has them; None of anything else."""
    if not isinstance(polygons, list) or not polygons or not all(isinstance(one, list) and one for one in polygons):
        return None
    try:
        x, y = (np.concatenate([np.array(one[start::2], float) for one in polygons]) for start in (0, 1))
    except (TypeError, ValueError):
        return None
    return [float(x.min()), float(y.min()), float(np.ptp(x)), float(np.ptp(y))]


def refuse_corners(boxes: np.ndarray, sizes: np.ndarray, areas: np.ndarray, ids: list, path: Path) -> None:
    """Boxes are not x1, y1, x2, y2.

    Args:
        boxes: N×4.
        sizes: width and height of their images, N×2; NaN where they are unknown.
        areas: what the file states, N; NaN where it does not.
        ids: of the annotations.
        path: the file.

    Raises:
        ValueError: they are, by all that can be seen; or they are shares of the image's sides.
    """
    known = np.isfinite(boxes).all(1) & np.isfinite(sizes).all(1)
    boxes, sizes, areas, ids = boxes[known], sizes[known], areas[known], np.array(ids, object)[known]
    if not len(boxes):
        return
    if (boxes <= 1).all() and (boxes[:, 2:] > 0).all():
        raise ValueError(
            f'{path}: every box lies between 0 and 1, so they seem to be shares of the image. COCO has pixels: '
            'multiply them by width and height.'
        )
    sides = boxes[:, 2:] - boxes[:, :2]
    fits = (sides > 0).all() and (boxes[:, :2] >= -_ROUNDING).all() and (boxes[:, 2:] <= sizes + _ROUNDING).all()
    leaves = (boxes[:, :2] + boxes[:, 2:] > sizes + 2 * _ROUNDING).any(1)
    by_area = np.isclose(areas, sides.prod(1), rtol=0.02) & ~np.isclose(areas, boxes[:, 2:].prod(1), rtol=0.02)
    if fits and (leaves.mean() >= _CORNERS or by_area.mean() > 0.5):
        told = leaves if leaves.any() else by_area
        reason = 'leave their image' if leaves.any() else 'have another area than the file states'
        raise ValueError(
            f'{path}: the boxes seem to be x1, y1, x2, y2. Read as x, y, width, height, as COCO has them, {told.sum()} '
            f'of {len(boxes)} {reason}, such as that of annotation {ids[told][0]}; read as corners none does. Convert '
            'them.'
        )


def unusable(boxes: np.ndarray, sizes: np.ndarray) -> dict[str, np.ndarray]:
    """Why boxes cannot be learned: a mask of N for each reason, none of which overlap."""
    finite = np.isfinite(boxes).all(1)
    with np.errstate(invalid='ignore'):
        reversed_ = (boxes[:, 2:] < 0).any(1)
        thin = (boxes[:, 2:] < 1).any(1)
        outside = (boxes[:, :2] >= sizes).any(1) | (boxes[:, :2] + boxes[:, 2:] <= 0).any(1)
    absent = np.isnan(boxes).all(1)
    reasons = {
        'have no box': absent,
        'have NaN or infinity in their box': ~finite & ~absent,
        'have a box of negative width or height': reversed_,
        'have a box narrower than one pixel': thin,
        'lie outside of their image': outside,
    }
    seen = np.zeros(len(boxes), bool)
    for reason, mask in reasons.items():
        reasons[reason] = mask & ~seen
        seen |= mask
    return {reason: mask for reason, mask in reasons.items() if mask.any()}


def cut(boxes: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes within their images, and which of them reached beyond."""
    beyond = (boxes[:, :2] < -_ROUNDING).any(1) | (boxes[:, :2] + boxes[:, 2:] > sizes + _ROUNDING).any(1)
    corners = np.hstack([np.maximum(boxes[:, :2], 0), np.minimum(boxes[:, :2] + boxes[:, 2:], sizes)])
    corners[:, 2:] -= corners[:, :2]
    return np.where(beyond[:, None], corners, boxes), beyond


def left_out(ids: list, reasons: dict[str, np.ndarray], path: Path) -> list[str]:
    """A sentence for each reason.

    Raises:
        ValueError: more than half would be left out: the file means something else.
    """
    ids = np.array(ids, object)
    details = {reason: (int(mask.sum()), some(ids[mask])) for reason, mask in reasons.items()}
    gone = sum(number for number, _ in details.values())
    if gone > len(ids) / 2:
        said = '; '.join(f'{number} {reason} (annotation {which})' for reason, (number, which) in details.items())
        raise ValueError(
            f'{path}: {gone} of {len(ids)} objects cannot be used: {said}. That is too many to leave out: correct the '
            'file or export it again.'
        )
    return [
        f'{path}: {number} of {len(ids)} objects left out, as they {reason} (annotation {which}).'
        for reason, (number, which) in details.items()
    ]
