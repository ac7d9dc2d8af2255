"""Which oriented detections are right, as PASCAL VOC's development kit decides it."""

import numpy as np

from mmest.tiles.geometry import polygon_overlap, polygons


def match_oriented(
    found: np.ndarray, objects: np.ndarray, ignored: np.ndarray, iou_thr: float, *_, **__
) -> tuple[np.ndarray, np.ndarray]:
    """A ``tpfp_fn`` of :func:`mmdet.evaluation.eval_map`, for one class in one picture.

    By score, each detection belongs to the object that it overlaps most. It is right if the IoU is ``iou_thr`` or more
    and no other was right about this object before; neither right nor wrong if that object is to be ignored.

    Args:
        found: N×9, corners and score.
        objects: M×8.
        ignored: K×8.
        iou_thr: the least IoU. What else is passed has no meaning for corners in DOTA.

    Returns:
        1×N ones for the right, and for the wrong detections.
    """
    right, wrong = np.zeros((1, len(found))), np.zeros((1, len(found)))
    truth = np.vstack([objects, ignored])
    if not len(truth):
        return right, wrong + 1
    iou = polygon_overlap(polygons(found[:, :8]), polygons(truth))[0]
    claimed = set()
    for number in np.argsort(-found[:, -1]):
        best = iou[number].argmax()
        if iou[number, best] < iou_thr:
            wrong[0, number] = 1
        elif best < len(objects):
            (wrong if best in claimed else right)[0, number] = 1
            claimed.add(best)
    return right, wrong
