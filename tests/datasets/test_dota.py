"""DOTA's round trip: cut, predict, merge, score, submit."""

import itertools
import json
import os
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import official_trees as trees
import pytest
import torch

pytest.importorskip('mmdet')

from mmest.datasets.dota.metric import DOTABoxMetric, score
from mmest.datasets.dota.patches import parse_patch_name, patch_name, patch_objects
from mmest.datasets.official import dota
from mmest.datasets.preparation.coco import annotation
from mmest.datasets.preparation.command import prepare
from mmest.tiles.geometry import STRAIGHT
from mmest.tiles.grid import tiles
from mmest.tiles.merge import merge

REAL = Path(os.environ.get('MMEST_DATA', 'nowhere')) / 'official' / 'dota'
SIZE = (2900, 2100)  # four by three patches


def scene() -> list:
    """Objects at every kind of border, small and huge, alone and crowded: (class, x0, y0, x1, y1, difficult)."""
    objects = []
    # Of every size from a car to more than a patch, at positions that fall on all borders.
    for size, (x, y) in itertools.product(
        (12, 60, 150, 260), itertools.product((500, 800, 1000, 1640, 1850, 2550), (790, 1010))
    ):
        objects.append(
            ('large-vehicle', x + size // 3, y + size // 5, x + size // 3 + size, y + size // 5 + size // 2, 0)
        )
    # Both neighbours show 70 % of it, and less than half in common.
    objects.append(('harbor', 674, 300, 1174, 400, 0))
    objects.append(('ground-track-field', 100, 100, 1500, 900, 0))
    objects.append(('soccer-ball-field', 20, 900, 2880, 2080, 0))
    objects.append(('baseball-diamond', 830, 60, 2700, 200, 0))
    # A row of ships at an angle: the boxes of neighbours have an IoU above 0.5.
    objects += [('ship', 900 + 18 * i, 1500 + 3 * i, 980 + 18 * i, 1580 + 3 * i, 0) for i in range(14)]
    objects += [
        ('plane', 990, 1100, 1060, 1170, 1),
        ('helicopter', 5, 5, 30, 40, 0),
        ('helicopter', 2895, 2095, 2900, 2100, 1),
    ]
    return objects


def write_scene(root: Path, objects: list, size=SIZE) -> None:
    trees.write(root / 'val/images/P0042.png', np.zeros((size[1], size[0], 3), np.uint8))
    trees.text(root / 'val/labelTxt/P0042.txt', trees.DOTA_HEAD + trees.dota_lines(objects))


def predict(out: Path, ignored: bool, jitter: float = 0.0, seed: int = 0) -> DOTABoxMetric:
    """A metric that was fed what the patch annotations say, shuffled, in pixels of float32."""
    from mmest.datasets.detection.dota import DOTADataset

    dataset = DOTADataset(
        ann_file=str(out / 'annotations/val_patches.json'),
        data_prefix=dict(img=str(out / 'val')),
        pipeline=[],
        test_mode=True,
    )
    metric = DOTABoxMetric(ann_file=str(out / 'annotations/val_images.json'))
    metric.dataset_meta = dataset.metainfo
    rng = np.random.default_rng(seed)
    for info in dataset:
        found = [one for one in info['instances'] if ignored or not one['ignore_flag']]
        found = [found[i] for i in rng.permutation(len(found))]
        boxes = np.array([one['bbox'] for one in found]).reshape(-1, 4)
        boxes = boxes + rng.normal(0, jitter, boxes.shape) if jitter else boxes
        scores = rng.uniform(0.2, 1, len(found)) if jitter else np.ones(len(found))
        metric.process(
            {},
            [
                dict(
                    img_path=info['img_path'],
                    ori_shape=(info['height'], info['width']),
                    pred_instances=dict(
                        bboxes=torch.tensor(boxes, dtype=torch.float32),
                        scores=torch.tensor(scores, dtype=torch.float32),
                        labels=torch.tensor([one['bbox_label'] for one in found], dtype=torch.long),
                    ),
                )
            ],
        )
    return metric


def merged_boxes(metric: DOTABoxMetric, folder: Path) -> dict:
    """Boxes by class from the file of Task 2, which the server would see."""
    metric.submission = str(folder)
    metric.compute_metrics(metric.results)
    with zipfile.ZipFile(folder / 'Task2.zip') as archive:
        return {
            name[6:-4]: [tuple(map(float, line.split()[2:])) for line in archive.read(name).decode().splitlines()]
            for name in archive.namelist()
        }


@pytest.mark.parametrize('ignored', [False, True], ids=['counted pieces', 'all pieces'])
def test_perfect_predictions_give_ap_1_and_every_object_once(tmp_path, ignored):
    objects = scene()
    write_scene(tmp_path / 'source', objects)
    prepare(dota.__name__, tmp_path / 'source', tmp_path / 'out', 1)
    metric = predict(tmp_path / 'out', ignored)
    assert len(metric.results) == 12
    assert metric.compute_metrics(metric.results)['AP50'] == pytest.approx(100)
    found = merged_boxes(metric, tmp_path / 'submission')
    for name in dota.CLASSES:
        true = [tuple(map(float, one[1:5])) for one in objects if one[0] == name and (ignored or not one[5])]
        if ignored:
            assert sorted(found[name]) == sorted(true), name
        else:  # what only small pieces show beyond the counted ones is missing, never more
            assert len(found[name]) == len(true)


@pytest.mark.skipif(not REAL.is_dir(), reason='$MMEST_DATA names no folder with official samples')
def test_perfect_predictions_on_real_annotations(tmp_path):
    for name in ('P0706', 'P1888'):
        for folder, ending in (('images', 'png'), ('labelTxt', 'txt')):
            (tmp_path / 'source/val' / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(REAL / folder / f'{name}.{ending}', tmp_path / 'source/val' / folder)
    # Labels without their pictures get black ones of a size that holds them.
    for path in REAL.glob('labelTxt/*.txt'):
        if path.stem not in ('P0706', 'P1888'):
            corners = np.array([line.split()[:8] for line in path.read_text().splitlines()[2:]], float)
            width, height = (int(corners[:, axis::2].max()) + 50 for axis in (0, 1))
            trees.write(tmp_path / f'source/val/images/{path.stem}.png', np.zeros((height, width, 3), np.uint8))
            shutil.copy(path, tmp_path / 'source/val/labelTxt')
    assert prepare(dota.__name__, tmp_path / 'source', tmp_path / 'out', 1)
    metric = predict(tmp_path / 'out', ignored=False)
    assert metric.compute_metrics(metric.results)['AP50'] == pytest.approx(100)
    truth = json.loads((tmp_path / 'out/annotations/val_images.json').read_text())['annotations']
    counted = Counter(dota.CLASSES[one['category_id'] - 1] for one in truth if not one['iscrowd'])
    found = merged_boxes(metric, tmp_path / 'submission')
    assert {name: len(boxes) for name, boxes in found.items() if boxes} == counted


def independent_ap(detections: list, truth: list) -> float:
    """PASCAL VOC 2007, written from its definition: (picture, score, box) against (picture, box, difficult)."""
    positives = sum(not difficult for *_, difficult in truth)
    claimed, hits = set(), []
    for picture, _, box in sorted(detections, key=lambda one: -one[1]):
        best, best_iou = None, 0.0
        for number, (where, other, _) in enumerate(truth):
            width, height = (min(box[i + 2], other[i + 2]) - max(box[i], other[i]) + 1 for i in (0, 1))
            if where == picture and width > 0 and height > 0:
                areas = [(b[2] - b[0] + 1) * (b[3] - b[1] + 1) for b in (box, other)]
                iou = width * height / (sum(areas) - width * height)
                if iou > best_iou:
                    best, best_iou = number, iou
        if best_iou >= 0.5:
            if truth[best][2]:
                continue
            hits.append(best not in claimed)
            claimed.add(best)
        else:
            hits.append(False)
    right = np.cumsum(hits)
    recall, precision = right / positives, right / np.arange(1, len(hits) + 1)
    return float(np.mean([max(precision[recall >= level - 1e-9], default=0) for level in np.arange(11) / 10]))


def test_score_is_that_of_an_independent_implementation(tmp_path):
    """Predictions that are off, with misses and false alarms."""
    objects = [one for one in scene() if one[0] in ('large-vehicle', 'ship', 'helicopter', 'plane')]
    write_scene(tmp_path / 'source', objects)
    prepare(dota.__name__, tmp_path / 'source', tmp_path / 'out', 1)
    metric = predict(tmp_path / 'out', ignored=False, jitter=9)
    found = metric.compute_metrics(metric.results)['AP50']
    metric.submission = str(tmp_path)
    metric.compute_metrics(metric.results)
    expected = []
    with zipfile.ZipFile(tmp_path / 'Task2.zip') as archive:
        for name in {one[0] for one in objects}:
            lines = [line.split() for line in archive.read(f'Task2_{name}.txt').decode().splitlines()]
            detections = [(line[0], float(line[1]), tuple(map(float, line[2:]))) for line in lines]
            truth = [('P0042', one[1:5], bool(one[5])) for one in objects if one[0] == name]
            if any(not difficult for *_, difficult in truth):
                expected.append(independent_ap(detections, truth))
    assert 10 < found < 95
    assert found == pytest.approx(100 * np.mean(expected), abs=0.05)


def test_classes_are_matched_by_name():
    """Those of the config in another order than in the file, and fewer."""
    truth = dict(
        images=[dict(id=1, file_name='P1.png')],
        categories=[dict(id=4, name='plane'), dict(id=7, name='bridge'), dict(id=9, name='ship')],
        annotations=[
            dict(annotation(0, [10 * number, 5, 8, 8], False), image_id=1, category_id=number) for number in (4, 7, 9)
        ],
    )
    found = {'P1': [np.array([[90, 5, 98, 13, 0.9]]), np.array([[40, 5, 48, 13, 0.9]])]}
    assert score(found, truth, ('ship', 'plane'), STRAIGHT) == pytest.approx(100)
    assert score(found, truth, ('plane', 'ship'), STRAIGHT) == pytest.approx(0)


def test_two_sightings_of_an_object_leave_the_better_one():
    patches = np.array([[0, 0, 100, 100], [80, 0, 180, 100]])
    boxes, scores = merge(
        np.array([[85.0, 20, 94, 40], [86.0, 21, 93, 40], [87.0, 60, 92, 70]]),
        np.array([0.6, 0.9, 0.3]),
        np.array([0, 1, 1]),
        patches,
    )
    assert boxes.tolist() == [[86, 21, 93, 40], [87, 60, 92, 70]] and scores.tolist() == [0.9, 0.3]


def test_neighbours_that_one_patch_tells_apart_do_not_suppress_each_other():
    patches = np.array([[0, 0, 100, 100], [80, 0, 180, 100]])
    close = np.array([[10.0, 10, 30, 30], [13.0, 10, 33, 30]])
    boxes, _ = merge(close, np.array([0.9, 0.8]), np.array([0, 0]), patches)
    assert boxes.tolist() == close.tolist()


def test_equal_boxes_stay_two():
    """Some of DOTA's objects are annotated twice."""
    patches = np.array([[0, 0, 100, 100], [80, 0, 180, 100]])
    boxes, _ = merge(np.array([[85.0, 20, 94, 40]] * 4), np.ones(4), np.array([0, 0, 1, 1]), patches)
    assert boxes.tolist() == [[85, 20, 94, 40]] * 2


def test_merging_nothing():
    boxes, scores = merge(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), np.array([[0, 0, 9, 9]]))
    assert boxes.shape == (0, 4) and scores.shape == (0,)


def test_difficult_objects_and_small_pieces_are_ignored_in_patches():
    objects = [annotation(0, [10, 10, 50, 50], True), annotation(1, [1000, 10, 100, 50], False)]
    first, second = patch_objects(objects, tiles(1300, 500, 1024, 200), (1300, 500))
    assert [(one['category_id'], one['bbox'], one['iscrowd']) for one in first] == [
        (1, [10, 10, 50, 50], 1),
        (2, [1000, 10, 24, 50], 1),
    ]
    assert [(one['category_id'], one['bbox'], one['iscrowd']) for one in second] == [(2, [724, 10, 100, 50], 0)]


def test_every_object_counts_in_some_patch():
    rng = np.random.default_rng(0)
    size = (2600, 1900)
    objects = []
    for _ in range(300):
        corner = rng.uniform(-30, size)
        objects.append(annotation(0, [*corner, *rng.uniform(4, 1800, 2)], False))
    patches = tiles(*size, 1024, 200)
    for one in objects:
        assert any(not piece['iscrowd'] for pieces in patch_objects([one], patches, size) for piece in pieces)


def test_patch_names():
    assert parse_patch_name(patch_name('P0001', (824, 0, 1848, 1024))) == ('P0001', 824, 0)
    with pytest.raises(ValueError, match='such as P0006__824__0.png, but got "00001.jpg"'):
        parse_patch_name('00001.jpg')


def test_submission_has_a_file_per_class_and_corners_clockwise(tmp_path):
    write_scene(tmp_path / 'source', [('plane', 10, 20, 30, 50, 0)], size=(200, 100))
    prepare(dota.__name__, tmp_path / 'source', tmp_path / 'out', 1)
    metric = predict(tmp_path / 'out', ignored=False)
    metric.submission, metric.ann_file = str(tmp_path / 'submission'), None
    assert metric.compute_metrics(metric.results) == dict(pictures=1, boxes=1)
    for task, coordinates in ((1, '10.00 20.00 30.00 20.00 30.00 50.00 10.00 50.00'), (2, '10.00 20.00 30.00 50.00')):
        with zipfile.ZipFile(tmp_path / f'submission/Task{task}.zip') as archive:
            assert sorted(archive.namelist()) == sorted(f'Task{task}_{name}.txt' for name in dota.CLASSES)
            assert archive.read(f'Task{task}_plane.txt').decode() == f'P0042 1.000000 {coordinates}\n'
            assert archive.read(f'Task{task}_ship.txt') == b''
