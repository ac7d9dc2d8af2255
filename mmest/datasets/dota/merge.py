"""Detections of overlapping patches as detections of the picture."""
from typing import List, Sequence, Tuple

import numpy as np
from scipy.optimize import linear_sum_assignment

# A detector seldom meets the border of its patch exactly.
_NEAR = 4.0


def merge(boxes: np.ndarray, scores: np.ndarray, owners: np.ndarray, patches: np.ndarray,
          iou: float = 0.5) -> Tuple[np.ndarray, np.ndarray]:
    """NMS across patches, for the detections of one class.

    Two detections are the same object where, on the ground that their patches share, their IoU is ``iou`` or more; each
    has one partner at most in another patch, the pairs being those that agree best in all. The higher score stays, as in NMS; a side at which the border of the patch
    cuts it off is taken from the others. So an object larger than the overlap of the patches, even than a patch, is
    neither lost nor doubled, and neighbours that one patch tells apart do not suppress each other: within a patch the
    detector's own NMS has decided.

    Args:
        boxes: N×4, x0, y0, x1, y1 in the picture.
        scores: N.
        owners: N, the index of the patch of each.
        patches: M×4, the patches of the picture.
        iou: from which agreement on.

    Returns:
        Boxes and scores, best first.
    """
    cut = _cut_off(boxes, patches, owners)
    joins = _joins(boxes, owners, patches, iou)
    # Of equal scores a whole object leads a piece.
    order = np.lexsort((cut.sum(1), -scores))
    taken = np.zeros(len(boxes), bool)
    merged, kept = [], []
    for leader in order:
        if taken[leader]:
            continue
        group = _gather(leader, joins, cut, taken)
        outer = np.concatenate([boxes[group, :2].min(0), boxes[group, 2:].max(0)])
        merged.append(np.where(cut[leader], outer, boxes[leader]))
        kept.append(scores[leader])
    return np.array(merged).reshape(-1, 4), np.array(kept)


def _cut_off(boxes: np.ndarray, patches: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """N×4: sides that lie on the border of their patch, unless it is that of the picture."""
    picture = np.concatenate([patches[:, :2].min(0), patches[:, 2:].max(0)])
    own = patches[owners]
    return (np.abs(boxes - own) <= _NEAR) & (own != picture)


def _joins(boxes: np.ndarray, owners: np.ndarray, patches: np.ndarray, iou: float) -> List[List[int]]:
    """For each detection, those of other patches that see the same object: of each patch one at most."""
    joins: List[List[int]] = [[] for _ in boxes]
    low = np.maximum(patches[:, None, :2], patches[None, :, :2])
    high = np.minimum(patches[:, None, 2:], patches[None, :, 2:])
    for first, second in np.argwhere(np.triu((high > low).all(-1), 1)):
        seen = _clip(boxes, np.concatenate([low[first, second], high[first, second]]))
        there = (seen[:, 2:] > seen[:, :2]).all(1)
        rows, columns = (np.flatnonzero(there & (owners == patch)) for patch in (first, second))
        agreement = _iou(seen[rows], seen[columns])
        for row, column in zip(*linear_sum_assignment(agreement, maximize=True)):
            if agreement[row, column] >= iou:
                joins[rows[row]].append(columns[column])
                joins[columns[column]].append(rows[row])
    return joins


def _gather(leader: int, joins: Sequence[Sequence[int]], cut: np.ndarray, taken: np.ndarray) -> List[int]:
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


def _clip(boxes: np.ndarray, ground: np.ndarray) -> np.ndarray:
    low = np.maximum(boxes[:, :2], ground[:2])
    return np.hstack([low, np.maximum(low, np.minimum(boxes[:, 2:], ground[2:]))])


def _iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    common = np.maximum(np.minimum(first[:, None, 2:], second[None, :, 2:]) - low, 0).prod(-1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
    return common / np.maximum(areas[0][:, None] + areas[1] - common, 1e-9)
