"""Detections of overlapping patches as detections of the picture."""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from mmest.tiles.geometry import STRAIGHT, Geometry

# A detector seldom meets the border of its patch exactly.
_NEAR = 4.0


def merge_patches(
    patches: Sequence[dict], classes: int, iou: float = 0.5, geometry: Geometry = STRAIGHT
) -> list[np.ndarray]:
    """Detections of one picture, for each class N×(columns + 1): the box and its score.

    Args:
        patches: of each patch of the picture ``patch`` (x0, y0, x1, y1), ``boxes``, ``scores`` and ``labels``.
        classes: their number.
        iou: see :func:`merge`.
        geometry: the kind of ``boxes``.
    """
    extents = np.array([patch['patch'] for patch in patches])
    boxes, scores, labels = (np.concatenate([patch[key] for patch in patches]) for key in ('boxes', 'scores', 'labels'))
    owners = np.repeat(np.arange(len(patches)), [len(patch['scores']) for patch in patches])
    found = []
    for label in range(classes):
        chosen = labels == label
        found.append(np.column_stack(merge(boxes[chosen], scores[chosen], owners[chosen], extents, iou, geometry)))
    return found


def merge(
    boxes: np.ndarray,
    scores: np.ndarray,
    owners: np.ndarray,
    patches: np.ndarray,
    iou: float = 0.5,
    geometry: Geometry = STRAIGHT,
) -> tuple[np.ndarray, np.ndarray]:
    """NMS across patches, for the detections of one class.

    Two detections are the same object where, on the ground that their patches share, their IoU is ``iou`` or more; each
    has one partner at most in another patch, the pairs being those that agree best in all. The higher score stays, as
    in NMS; where the border of its patch cuts it off, it is completed by the others. So an object larger than the
    overlap of the patches, even than a patch, is neither lost nor doubled, and neighbours that one patch tells apart do
    not suppress each other: within a patch the detector's own NMS has decided.

    Args:
        boxes: N×columns, in pixels of the picture.
        scores: N.
        owners: N, the index of the patch of each.
        patches: M×4, the patches of the picture.
        iou: from which agreement on.
        geometry: the kind of ``boxes``.

    Returns:
        Boxes and scores, best first.
    """
    cut = _cut_off(geometry.bounds(boxes), patches, owners)
    joins = _joins(boxes, owners, patches, iou, geometry)
    # Of equal scores a whole object leads a piece.
    order = np.lexsort((cut.sum(1), -scores))
    taken = np.zeros(len(boxes), bool)
    merged, kept = [], []
    for leader in order:
        if taken[leader]:
            continue
        group = _gather(leader, joins, cut, taken)
        merged.append(geometry.join(boxes[group], boxes[leader], cut[leader]))
        kept.append(scores[leader])
    return np.array(merged).reshape(-1, geometry.columns), np.array(kept)


def _cut_off(bounds: np.ndarray, patches: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """N×4: sides that lie on the border of their patch or beyond, unless it is that of the picture."""
    picture = np.concatenate([patches[:, :2].min(0), patches[:, 2:].max(0)])
    own = patches[owners]
    inside = (bounds - own) * [1, 1, -1, -1]
    return (inside <= _NEAR) & (own != picture)


def _joins(
    boxes: np.ndarray, owners: np.ndarray, patches: np.ndarray, iou: float, geometry: Geometry
) -> list[list[int]]:
    """For each detection, those of other patches that see the same object: of each patch one at most."""
    joins: list[list[int]] = [[] for _ in boxes]
    bounds = geometry.bounds(boxes)
    low = np.maximum(patches[:, None, :2], patches[None, :, :2])
    high = np.minimum(patches[:, None, 2:], patches[None, :, 2:])
    for first, second in np.argwhere(np.triu((high > low).all(-1), 1)):
        ground = np.concatenate([low[first, second], high[first, second]])
        there = ((bounds[:, :2] < ground[2:]) & (bounds[:, 2:] > ground[:2])).all(1)
        rows, columns = (np.flatnonzero(there & (owners == patch)) for patch in (first, second))
        agreement = geometry.iou_inside(boxes[rows], boxes[columns], ground)
        for row, column in zip(*linear_sum_assignment(agreement, maximize=True)):
            if agreement[row, column] >= iou:
                joins[rows[row]].append(columns[column])
                joins[columns[column]].append(rows[row])
    return joins


def _gather(leader: int, joins: Sequence[Sequence[int]], cut: np.ndarray, taken: np.ndarray) -> list[int]:
    """What joins a detection, and what joins the pieces among that."""
    taken[leader] = True
    group, waiting = [leader], [leader]
    while waiting:
        for other in joins[waiting.pop()]:
            if not taken[other]:
                taken[other] = True
                group.append(other)
                if cut[other].any():
                    waiting.append(other)
    return group
