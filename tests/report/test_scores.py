"""Scores of a report against numbers worked out by hand and against mmdet's and mmseg's own."""

from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmest.report.examples import choose
from mmest.report.predictions import Boxes, Predicted, Sample
from mmest.report.scores import object_confusion, score
from mmest.tiles.geometry import ORIENTED, STRAIGHT


def objects(*rows, columns=4):
    """Boxes, label and score of each, in rows."""
    rows = np.array(rows, float).reshape(-1, columns + 2)
    return Boxes(rows[:, :columns], rows[:, columns].astype(int), rows[:, columns + 1])


def sample(truth, found, ignored=None):
    return Sample(Path('image.png'), truth, found, ignored or objects(columns=truth.boxes.shape[1]))


def test_objects_are_right_wrong_missed_and_taken_for_another():
    truth = objects((0, 0, 10, 10, 0, 1), (20, 0, 30, 10, 1, 1), (40, 0, 50, 10, 1, 1))
    found = objects(
        (0, 0, 10, 9, 0, 0.9),  # right
        (0, 0, 10, 10, 0, 0.8),  # the same object again
        (20, 0, 30, 10, 0, 0.7),  # of the other class
        (70, 0, 80, 10, 1, 0.6),  # nothing there
        (40, 0, 50, 10, 1, 0.1),  # too unsure
    )
    table = object_confusion(sample(truth, found), 2, STRAIGHT)
    assert table.tolist() == [[1, 0, 0], [1, 0, 1], [1, 1, 0]]


def test_detections_of_ignored_objects_count_nowhere():
    found = objects((0, 0, 10, 10, 0, 0.9), (0, 0, 10, 10, 0, 0.8))
    table = object_confusion(sample(objects(), found, objects((0, 0, 10, 10, 0, 1))), 1, STRAIGHT)
    assert not table.any()


def detector_and_truth(rng):
    """Two images of objects, crowds and detections of all kinds."""
    samples = []
    for _ in range(2):
        corners = rng.uniform(0, 400, (40, 2)).round()
        boxes = np.hstack([corners, corners + rng.integers(10, 60, (40, 2))])
        crowds = np.hstack([boxes[:8, :2] - 20, boxes[:8, 2:] + 20])
        labels = rng.integers(0, 3, 40)
        near = boxes + rng.integers(-4, 5, boxes.shape)
        elsewhere = boxes[::3] + rng.integers(-40, 41, (14, 1))
        found = np.vstack([near, elsewhere, boxes[8:12]])
        guess = np.where(rng.random(58) < 0.8, np.concatenate([labels, labels[::3], labels[8:12]]), 1)
        rows = [(crowds, labels[:8], np.ones(8)), (boxes[8:], labels[8:], np.ones(32)), (found, guess, rng.random(58))]
        crowded, truth, detections = (Boxes(*row) for row in rows)
        samples.append(sample(truth, detections, crowded))
    return samples


def coco_ap50(samples, classes):
    """By class in per cent, at the recalls that mmdet has: the area under the whole curve."""
    coco, found = COCO(), []
    coco.dataset = dict(images=[], annotations=[], categories=[dict(id=i) for i in range(classes)])
    for number, one in enumerate(samples):
        coco.dataset['images'].append(dict(id=number))
        for crowd, part in enumerate((one.truth, one.ignored, one.found)):
            sides = np.hstack([part.boxes[:, :2], part.boxes[:, 2:] - part.boxes[:, :2]]).tolist()
            rows = [
                dict(image_id=number, category_id=int(label), bbox=box, score=score)
                for box, label, score in zip(sides, part.labels, part.scores)
            ]
            if crowd == 2:
                found += rows
            for row in rows if crowd < 2 else []:
                area = row['bbox'][2] * row['bbox'][3]
                coco.dataset['annotations'].append(
                    dict(row, id=len(coco.dataset['annotations']) + 1, iscrowd=crowd, area=area)
                )
    coco.createIndex()
    evaluation = COCOeval(coco, coco.loadRes(found), 'bbox')
    evaluation.params.iouThrs, evaluation.params.recThrs = np.array([0.5]), np.linspace(0, 1, 10001)[1:]
    evaluation.params.maxDets = [1000]
    evaluation.evaluate()
    evaluation.accumulate()
    return 100 * evaluation.eval['precision'][0, :, :, 0, 0].mean(0)


def test_average_precision_ignores_what_coco_does():
    """Planes in a crowd and pieces that the border of a tile cuts are no false alarms, those of another class are."""
    for seed in range(5):
        samples = detector_and_truth(np.random.default_rng(seed))
        scores = score(Predicted(('a', 'b', 'c'), samples, STRAIGHT))
        np.testing.assert_allclose([row[1] for row in scores.rows], coco_ap50(samples, 3), atol=0.02)


def test_detections_of_ignored_objects_lower_no_curve():
    truth, crowd = objects((0, 0, 50, 50, 0, 1)), objects((100, 100, 300, 300, 0, 1))
    found = objects((0, 0, 50, 50, 0, 0.8), (110, 110, 150, 150, 0, 0.9), (150, 110, 190, 150, 0, 0.85))
    scores = score(Predicted(('plane',), [sample(truth, found, crowd)], STRAIGHT))
    assert scores.rows == [['plane', pytest.approx(100), pytest.approx(100), 1, 3]]
    assert scores.curves['plane'][1][-1] == pytest.approx(1)
    assert scores.confusion.tolist() == [[1, 0], [0, 0]] and scores.by_image == [1]
    other = score(Predicted(('plane', 'ship'), [sample(truth, found, objects((100, 100, 300, 300, 1, 1)))], STRAIGHT))
    assert other.rows[0][1] == pytest.approx(100 / 3)


def test_difficult_oriented_objects_lower_no_curve():
    first, second = (0, 0, 50, 0, 50, 50, 0, 50), (100, 100, 150, 100, 150, 150, 100, 150)
    truth, difficult = (objects((*corners, 0, 1), columns=8) for corners in (first, second))
    found = objects((*first, 0, 0.8), (*second, 0, 0.9), columns=8)
    scores = score(Predicted(('plane',), [sample(truth, found, difficult)], ORIENTED))
    assert scores.rows == [['plane', pytest.approx(100), pytest.approx(100), 1, 2]]
    assert scores.confusion.tolist() == [[1, 0], [0, 0]]


def test_average_precision_by_class():
    truth = objects((0, 0, 10, 10, 0, 1), (20, 0, 30, 10, 0, 1))
    found = objects((0, 0, 10, 10, 0, 0.9), (50, 0, 60, 10, 0, 0.8), (20, 0, 30, 10, 0, 0.7))
    scores = score(Predicted(('plane', 'ship'), [sample(truth, found)], STRAIGHT))
    # Precision 1 up to recall 1/2, then 2/3: the area under the envelope.
    assert scores.rows[0] == ['plane', pytest.approx(100 * (0.5 + 0.5 * 2 / 3)), pytest.approx(100), 2, 3]
    assert scores.rows[1] == ['ship', None, None, 0, 0]
    assert list(scores.curves) == ['plane']
    assert scores.by_image == [pytest.approx(2 / 2.5)]


def test_oriented_boxes():
    square = (0, 0, 10, 0, 10, 10, 0, 10)
    truth, found = objects((*square, 0, 1), columns=8), objects((*square, 0, 0.9), columns=8)
    scores = score(Predicted(('plane',), [sample(truth, found)], ORIENTED))
    assert scores.rows == [['plane', pytest.approx(100), pytest.approx(100), 1, 1]]
    assert scores.confusion.tolist() == [[1, 0], [0, 0]]


def test_maps_score_as_mmseg_does():
    from mmseg.evaluation import IoUMetric
    from torch import from_numpy

    generator = np.random.default_rng(0)
    samples, metric = [], IoUMetric(iou_metrics=['mIoU'], prefix='')
    metric.dataset_meta = dict(classes=('land', 'road', 'water'))
    for _ in range(3):
        truth = generator.choice([0, 1, 255], (20, 30)).astype(np.uint8)
        found = generator.integers(0, 3, (20, 30)).astype(np.uint8)
        samples.append(Sample(Path('image.png'), truth, found))
        metric.results.append(metric.intersect_and_union(from_numpy(found), from_numpy(truth), 3, 255))
    scores = score(Predicted(('land', 'road', 'water'), samples, None))
    expected = metric.compute_metrics(metric.results)['mIoU']
    assert np.mean([row[1] for row in scores.rows]) == pytest.approx(expected, abs=0.01)
    assert scores.confusion.sum() == sum((s.truth != 255).sum() for s in samples)


def test_no_image_is_among_the_best_and_the_worst():
    assert choose([0.5, 0.1, 0.9], best=3, worst=2) == ([2], [1, 0])
    assert choose([], best=3, worst=2) == ([], [])
