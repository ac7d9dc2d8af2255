"""Scores of a report against numbers worked out by hand and against mmdet's and mmseg's own."""

from pathlib import Path

import numpy as np
import pytest

from mmest.report.examples import choose
from mmest.report.predictions import Boxes, Predicted, Sample
from mmest.report.scores import object_confusion, score
from mmest.tiles.geometry import ORIENTED, STRAIGHT

NOTHING = np.zeros((0, 4))


def objects(*rows, columns=4):
    """Boxes, label and score of each, in rows."""
    rows = np.array(rows, float).reshape(-1, columns + 2)
    return Boxes(rows[:, :columns], rows[:, columns].astype(int), rows[:, columns + 1])


def sample(truth, found, ignored=NOTHING):
    return Sample(Path('image.png'), truth, found, ignored)


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
    table = object_confusion(sample(objects(), found, np.array([[0.0, 0, 10, 10]])), 1, STRAIGHT)
    assert not table.any()


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
    scores = score(Predicted(('plane',), [sample(truth, found, np.zeros((0, 8)))], ORIENTED))
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
