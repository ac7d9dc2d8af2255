"""Detections of overlapping patches as detections of the image."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from scipy.optimize import linear_sum_assignment

from mmest.tiles.geometry import STRAIGHT, Geometry

# A detector seldom meets the border of its patch exactly.
_NEAR = 4.0
# The box around the visible part of a slanted object is smaller than what is visible of the box around it, or turned.
_INSIDE = 0.8


@dataclass(frozen=True)
class Merged:
    """An object, found in one patch or in several.

    Attributes:
        label: its class.
        box: as its geometry has it, in pixels of the image.
        score: of the best detection.
        members: the detections that show it, by their place in all patches; the best is the first. One alone where that
            is whole.
    """

    label: int
    box: np.ndarray
    score: float
    members: list[int]


def merge_objects(
    patches: Sequence[dict], classes: int, iou: float = 0.5, geometry: Geometry = STRAIGHT
) -> list[Merged]:
    """Detections of one image, class by class, best first.

    Args:
        patches: of each patch of the image ``patch`` (x0, y0, x1, y1), ``boxes``, ``scores`` and ``labels``.
        classes: their number.
        iou: see :func:`merge`.
        geometry: the kind of ``boxes``.
    """
    extents = np.array([patch['patch'] for patch in patches])
    boxes, scores, labels = (np.concatenate([patch[key] for patch in patches]) for key in ('boxes', 'scores', 'labels'))
    owners = np.repeat(np.arange(len(patches)), [len(patch['scores']) for patch in patches])
    found = []
    for label in range(classes):
        chosen = np.flatnonzero(labels == label)
        groups, merged = _merge(boxes[chosen], scores[chosen], owners[chosen], extents, iou, geometry)
        found += [
            Merged(label, box, float(scores[chosen[group[0]]]), chosen[group].tolist())
            for group, box in zip(groups, merged)
        ]
    return found


def merge_patches(
    patches: Sequence[dict], classes: int, iou: float = 0.5, geometry: Geometry = STRAIGHT
) -> list[np.ndarray]:
    """As :func:`merge_objects`, for each class N×(columns + 1): the box and its score."""
    found: list[list[np.ndarray]] = [[] for _ in range(classes)]
    for one in merge_objects(patches, classes, iou, geometry):
        found[one.label].append(np.append(one.box, one.score))
    return [np.array(rows).reshape(-1, geometry.columns + 1) for rows in found]


def merge(
    boxes: np.ndarray,
    scores: np.ndarray,
    owners: np.ndarray,
    patches: np.ndarray,
    iou: float = 0.5,
    geometry: Geometry = STRAIGHT,
) -> tuple[np.ndarray, np.ndarray]:
    """NMS across patches, for the detections of one class.

    Two detections are the same object where, on the ground that their patches share, their IoU is ``iou`` or more; or
    where one is a piece, cut off by the border of its patch, and the smaller lies nearly in the larger. Each has one
    partner at most in another patch, the pairs being those that agree best in all. What is connected by such pairs is
    one object, of which each patch has one detection at most: pairs that agree better go first. The highest score
    stays, as in NMS; where the border of its patch cuts it off, it is completed by the others. So an object larger than
    the overlap of the patches, even than a patch, is neither lost nor doubled, and neighbours that one patch tells
    apart do not suppress each other: within a patch the detector's own NMS has decided. Patches have to overlap.

    Args:
        boxes: N×columns, in pixels of the image.
        scores: N.
        owners: N, the index of the patch of each.
        patches: M×4, the patches of the image.
        iou: from which agreement on.
        geometry: the kind of ``boxes``.

    Returns:
        Boxes and scores, best first.
    """
    groups, merged = _merge(boxes, scores, owners, patches, iou, geometry)
    return np.array(merged).reshape(-1, geometry.columns), scores[[group[0] for group in groups]]


def _merge(
    boxes: np.ndarray, scores: np.ndarray, owners: np.ndarray, patches: np.ndarray, iou: float, geometry: Geometry
) -> tuple[list[list[int]], list[np.ndarray]]:
    """The detections that make up each object, its best first, and its box; the best object first."""
    cut = _cut_off(geometry.bounds(boxes), patches, owners)
    # Of equal scores a whole object leads a piece.
    order = np.lexsort((cut.sum(1), -scores))
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order))
    clusters = _clusters(owners, _pairs(boxes, cut.any(1), owners, patches, iou, geometry))
    groups, merged = [], []
    for group in sorted((sorted(cluster, key=rank.__getitem__) for cluster in clusters), key=lambda g: rank[g[0]]):
        merged.append(geometry.join(boxes[group], boxes[group[0]], cut[group[0]]))
        groups.append(group if cut[group[0]].any() else group[:1])
    return groups, merged


def _cut_off(bounds: np.ndarray, patches: np.ndarray, owners: np.ndarray) -> np.ndarray:
    """N×4: sides that lie on the border of their patch or beyond, unless it is that of the image."""
    image = np.concatenate([patches[:, :2].min(0), patches[:, 2:].max(0)])
    own = patches[owners]
    inside = (bounds - own) * [1, 1, -1, -1]
    return (inside <= _NEAR) & (own != image)


def _pairs(
    boxes: np.ndarray, cut: np.ndarray, owners: np.ndarray, patches: np.ndarray, iou: float, geometry: Geometry
) -> list[tuple[float, int, int]]:
    """Detections of two patches that see the same object, and how well they agree."""
    pairs = []
    bounds = geometry.bounds(boxes)
    shown, counts = np.unique(owners, return_counts=True)
    members = np.split(np.argsort(owners, kind='stable'), np.cumsum(counts)[:-1])
    for first, second, ground in _neighbours(patches[shown]):
        rows, columns = (
            found[((bounds[found, :2] < ground[2:]) & (bounds[found, 2:] > ground[:2])).all(1)]
            for found in (members[first], members[second])
        )
        agreement, share = geometry.overlap_inside(boxes[rows], boxes[columns], ground)
        pieces = cut[rows][:, None] | cut[columns]
        same = (agreement >= iou) | (pieces & (share >= _INSIDE))
        for row, column in zip(*linear_sum_assignment(np.where(same, agreement, 0), maximize=True)):
            if same[row, column]:
                pairs.append((float(agreement[row, column]), int(rows[row]), int(columns[column])))
    return pairs


def _neighbours(patches: np.ndarray) -> Iterator[tuple[int, int, np.ndarray]]:
    """Two patches each, in order, and the ground that they share. A large scene has too many to look at all pairs."""
    areas = shapely.box(*patches.T)
    first, second = shapely.STRtree(areas).query(areas)
    order = np.lexsort((second, first))
    for one, other in zip(first[order], second[order]):
        low, high = np.maximum(patches[one], patches[other])[:2], np.minimum(patches[one], patches[other])[2:]
        if one < other and (high > low).all():
            yield one, other, np.concatenate([low, high])


def _clusters(owners: np.ndarray, pairs: Sequence[tuple[float, int, int]]) -> list[list[int]]:
    """What pairs connect, the best first, unless a patch would then see one object twice."""
    cluster_of = [[number] for number in range(len(owners))]
    seen_by = [{int(owner)} for owner in owners]
    for _, first, second in sorted(pairs, key=lambda pair: -pair[0]):
        one, other = cluster_of[first], cluster_of[second]
        if one is other or seen_by[one[0]] & seen_by[other[0]]:
            continue
        seen_by[one[0]] |= seen_by[other[0]]
        one += other
        for member in other:
            cluster_of[member] = one
    return list({id(cluster): cluster for cluster in cluster_of}.values())
