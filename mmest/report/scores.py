"""What a report says of predictions: scores by class, confusion, precision over recall, and of single images."""

from dataclasses import dataclass

import numpy as np

from mmest.datasets.dota.voc import match_oriented
from mmest.tiles.geometry import ORIENTED, STRAIGHT, Geometry, polygon_overlap, polygons

from .predictions import Predicted, Sample

#: Detections below are not counted in the confusion matrix, and not drawn.
SCORE = 0.3
#: The least overlap of a detection with the object that it is right about.
IOU = 0.5


@dataclass
class Scores:
    """The scores of a run.

    Attributes:
        columns: headings of ``rows``.
        rows: one per class: its name, and figures in per cent (None where the class does not occur).
        confusion: truth in rows, prediction in columns, in numbers of objects or pixels.
        labels: of the rows and columns of ``confusion``.
        curves: by class, (recall, precision) of detections by falling score; empty for segmentation.
        by_image: a score in 0..1 for each validation image.
    """

    columns: tuple[str, ...]
    rows: list[list]
    confusion: np.ndarray
    labels: tuple[str, ...]
    curves: dict[str, tuple[np.ndarray, np.ndarray]]
    by_image: list[float]


def score(predicted: Predicted) -> Scores:
    """The scores of predictions, of detection at IoU 0.5 or of segmentation."""
    return _of_maps(predicted) if predicted.geometry is None else _of_objects(predicted)


def _of_maps(predicted: Predicted) -> Scores:
    count = len(predicted.classes)
    tables = [pixel_confusion(sample, count, predicted.ignore_index) for sample in predicted.samples]
    confusion = sum(tables, np.zeros((count, count), np.int64))
    iou = _iou(confusion)
    recall = _share(confusion.diagonal(), confusion.sum(1))
    precision = _share(confusion.diagonal(), confusion.sum(0))
    share = confusion.sum(1) / max(confusion.sum(), 1)
    rows = [
        [name, *(None if np.isnan(value) else 100 * value for value in values)]
        for name, *values in zip(predicted.classes, iou, recall, precision, share)
    ]
    by_image = [float(np.nan_to_num(np.nanmean(_iou(table))) if table.any() else 1.0) for table in tables]
    columns = ('class', 'IoU', 'recall', 'precision', 'share of pixels')
    return Scores(columns, rows, confusion, predicted.classes, {}, by_image)


def pixel_confusion(sample: Sample, count: int, ignore: int) -> np.ndarray:
    """Truth × prediction, in pixels; pixels that the truth ignores are left out."""
    counted = (sample.truth != ignore) & (sample.truth < count)
    pairs = sample.truth[counted].astype(np.int64) * count + sample.found[counted]
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def _iou(confusion: np.ndarray) -> np.ndarray:
    common = confusion.diagonal()
    return _share(common, confusion.sum(0) + confusion.sum(1) - common)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)


def _of_objects(predicted: Predicted) -> Scores:
    from mmdet.evaluation import eval_map

    count, geometry = len(predicted.classes), predicted.geometry
    found = [
        [
            np.hstack([sample.found.boxes, sample.found.scores[:, None]])[sample.found.labels == label]
            for label in range(count)
        ]
        for sample in predicted.samples
    ]
    truth = [
        dict(
            bboxes=sample.truth.boxes,
            labels=sample.truth.labels,
            bboxes_ignore=sample.ignored.boxes,
            labels_ignore=sample.ignored.labels,
        )
        for sample in predicted.samples
    ]
    match = match_oriented if geometry is ORIENTED else match_straight
    _, results = eval_map(found, truth, iou_thr=IOU, logger='silent', nproc=1, tpfp_fn=match)
    rows, curves = [], {}
    for name, result in zip(predicted.classes, results):
        objects, recall, precision = int(result['num_gts']), np.ravel(result['recall']), np.ravel(result['precision'])
        if objects and len(recall):
            curves[name] = (recall, precision)
        rows.append(
            [
                name,
                100 * float(np.ravel(result['ap'])[0]) if objects else None,
                100 * float(recall[-1]) if objects and len(recall) else (0.0 if objects else None),
                objects,
                int(result['num_dets']),
            ]
        )
    tables = [object_confusion(sample, count, geometry) for sample in predicted.samples]
    columns = ('class', 'AP50', 'highest recall', 'objects', 'detections')
    labels = (*predicted.classes, 'nothing')
    return Scores(columns, rows, sum(tables), labels, curves, [_f1(table) for table in tables])


def match_straight(
    found: np.ndarray, objects: np.ndarray, ignored: np.ndarray, iou_thr: float, *_, **__
) -> tuple[np.ndarray, np.ndarray]:
    """A ``tpfp_fn`` of :func:`mmdet.evaluation.eval_map`, for one class in one picture, that ignores as COCO does.

    mmdet's own asks for the IoU with ignored objects too, which that of one plane with a crowd of them never reaches.

    Args:
        found: N×5, boxes and score.
        objects: M×4.
        ignored: K×4.
        iou_thr: the least IoU.

    Returns:
        1×N ones for the right, and for the wrong detections; neither is what is ignored.
    """
    from mmdet.evaluation.functional.mean_ap import tpfp_default

    right, wrong = tpfp_default(found, objects, np.zeros((0, 4)), iou_thr)
    wrong[:, _on_ignored(found[:, :4], ignored, STRAIGHT)] = 0
    return right, wrong


def _on_ignored(found: np.ndarray, ignored: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Which of N boxes show an ignored object: half of them is on one as in COCO, or by IoU as in DOTA's kit."""
    if geometry is ORIENTED:
        return (overlap(found, ignored, geometry) >= IOU).any(1)
    from mmdet.evaluation import bbox_overlaps

    return (bbox_overlaps(found, ignored, mode='iof') >= IOU).any(1)


def overlap(first: np.ndarray, second: np.ndarray, geometry: Geometry) -> np.ndarray:
    """IoU of N boxes with M boxes, N×M."""
    if geometry is STRAIGHT:
        everywhere = np.array([-np.inf, -np.inf, np.inf, np.inf])
        return geometry.overlap_inside(first, second, everywhere)[0]
    return polygon_overlap(polygons(first), polygons(second))[0]


def object_confusion(sample: Sample, count: int, geometry: Geometry) -> np.ndarray:
    """Truth × prediction, in objects; the last row and column are of objects that the other side lacks.

    By falling score, each detection takes the object not yet taken that it overlaps most, whatever its class.
    Detections of ignored objects, of whatever class too, count nowhere.
    """
    table = np.zeros((count + 1, count + 1), np.int64)
    sure = sample.found.scores >= SCORE
    boxes, labels = sample.found.boxes[sure], sample.found.labels[sure]
    iou, free = overlap(boxes, sample.truth.boxes, geometry), np.ones(len(sample.truth.boxes), bool)
    ignored = _on_ignored(boxes, sample.ignored.boxes, geometry)
    for i in np.argsort(-sample.found.scores[sure], kind='stable'):
        candidates = np.where(free, iou[i], 0)
        best = int(candidates.argmax()) if len(candidates) else 0
        if len(candidates) and candidates[best] >= IOU:
            free[best] = False
            table[sample.truth.labels[best], labels[i]] += 1
        elif not ignored[i]:
            table[count, labels[i]] += 1
    for label in sample.truth.labels[free]:
        table[label, count] += 1
    return table


def _f1(table: np.ndarray) -> float:
    """Of the detections of one image; 1 where there is nothing to find and nothing was found."""
    right = table[:-1, :-1].diagonal().sum()
    wrong = table.sum() - right
    return float(right / (right + wrong / 2)) if table.sum() else 1.0
