"""Oriented boxes: cut, merged and scored at any angle, against independent computations."""

import importlib.util
import json
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import official_trees as trees
import pytest
import shapely
import torch
from mmengine.registry import init_default_scope

pytest.importorskip('mmdet')

from mmest.configs import open_config
from mmest.datasets.dota.metric import DOTABoxMetric
from mmest.datasets.dota.patches import patch_objects
from mmest.datasets.official import dior_r, dota
from mmest.datasets.preparation.coco import annotation, horizontal
from mmest.datasets.preparation.command import prepare
from mmest.frameworks import predicts_oriented
from mmest.tiles.geometry import ORIENTED, STRAIGHT, polygons, rotated_corners, smallest_rectangle
from mmest.tiles.grid import tiles
from mmest.tiles.merge import merge

REAL = Path(os.environ.get('MMEST_DATA', 'nowhere')) / 'official' / 'dota'
SIZE = (2900, 2100)  # four by three patches


def rectangle(x: float, y: float, width: float, height: float, degrees: float) -> list:
    """Corners from the middle, independent of what is tested."""
    turn = np.array(
        [
            [np.cos(np.radians(degrees)), -np.sin(np.radians(degrees))],
            [np.sin(np.radians(degrees)), np.cos(np.radians(degrees))],
        ]
    )
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [width / 2, height / 2] @ turn.T + [x, y]
    return corners.ravel().tolist()


def scene() -> list:
    """Objects of all sizes and angles, across all borders: (class, corners, difficult)."""
    rng = np.random.default_rng(0)
    objects = []
    for x in (300, 930, 1024, 1740, 1850, 2400):
        for y in (250, 920, 1010, 1700):
            long = rng.uniform(20, 260)
            objects.append(('ship', rectangle(x, y, long, long * rng.uniform(0.2, 0.8), rng.uniform(-90, 90)), 0))
    # Moored side by side at 45 degrees: their upright rectangles overlap, they do not.
    objects += [('large-vehicle', rectangle(880 + 14 * i, 1300 + 14 * i, 60, 16, -45), 0) for i in range(12)]
    # Longer than the overlap, longer than a patch.
    objects += [
        ('harbor', rectangle(1400, 600, 900, 90, 20), 0),
        ('ground-track-field', rectangle(1450, 1050, 2300, 1200, 8), 0),
    ]
    objects += [('plane', rectangle(1010, 400, 80, 70, 30), 1), ('helicopter', rectangle(30, 40, 30, 20, 70), 0)]
    return objects


def prepare_scene(root: Path, objects: list) -> Path:
    trees.write(root / 'source/val/images/P0042.png', np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    lines = ''.join(f'{" ".join(map(str, corners))} {name} {difficult}\r\n' for name, corners, difficult in objects)
    trees.text(root / 'source/val/labelTxt/P0042.txt', trees.DOTA_HEAD + lines)
    prepare(dota.__name__, root / 'source', root / 'out', 1)
    return root / 'out'


def predict(out: Path, jitter: float = 0.0) -> DOTABoxMetric:
    """A metric that was fed what the patch annotations count."""
    metric = DOTABoxMetric(ann_file=str(out / 'annotations/val_images.json'), oriented=True)
    metric.dataset_meta = dict(classes=dota.CLASSES)
    content = json.loads((out / 'annotations/val_patches.json').read_text())
    rng = np.random.default_rng(1)
    for image in content['images']:
        found = [one for one in content['annotations'] if one['image_id'] == image['id'] and not one['iscrowd']]
        boxes = np.array([one['segmentation'][0] for one in found]).reshape(-1, 8)
        boxes = boxes + np.tile(rng.normal(0, jitter, (len(boxes), 2)), 4)
        scores = rng.uniform(0.2, 1, len(found)) if jitter else np.ones(len(found))
        metric.process(
            {},
            [
                dict(
                    img_path=image['file_name'],
                    ori_shape=(image['height'], image['width']),
                    pred_instances=dict(
                        bboxes=torch.tensor(boxes, dtype=torch.float64),
                        scores=torch.tensor(scores),
                        labels=torch.tensor([one['category_id'] - 1 for one in found], dtype=torch.long),
                    ),
                )
            ],
        )
    return metric


def submitted(metric: DOTABoxMetric, folder: Path, task: int = 1) -> dict:
    """By class (score, coordinates) of the file that the server would see."""
    metric.submission = str(folder)
    metric.compute_metrics(metric.results)
    with zipfile.ZipFile(folder / f'Task{task}.zip') as archive:
        return {
            name[6:-4]: [
                (float(line.split()[1]), [float(word) for word in line.split()[2:]])
                for line in archive.read(name).decode().splitlines()
            ]
            for name in archive.namelist()
        }


def iou(first: list, second: list) -> float:
    first, second = (shapely.Polygon(np.reshape(corners, (4, 2))) for corners in (first, second))
    return first.intersection(second).area / first.union(second).area


def test_perfect_predictions_give_ap_1_and_every_object_once(tmp_path):
    objects = scene()
    metric = predict(prepare_scene(tmp_path, objects))
    assert len(metric.results) == 12
    assert metric.compute_metrics(metric.results)['AP50'] == pytest.approx(100)
    found = submitted(metric, tmp_path)
    for name in dota.CLASSES:
        true = [corners for label, corners, difficult in objects if label == name and not difficult]
        assert len(found[name]) == len(true), name
        for corners in true:  # put together from pieces, an object is the smallest rectangle around them
            assert max(iou(corners, other) for _, other in found[name]) > (
                0.99 if name != 'ground-track-field' else 0.8
            ), name
    boxes = submitted(metric, tmp_path, task=2)
    for name, lines in found.items():
        assert np.array([box for _, box in boxes[name]]) == pytest.approx(
            np.array([[min(c[::2]), min(c[1::2]), max(c[::2]), max(c[1::2])] for _, c in lines])
        )


@pytest.mark.skipif(not REAL.is_dir(), reason='$MMEST_DATA names no folder with official samples')
def test_perfect_predictions_on_real_annotations(tmp_path):
    for path in REAL.glob('labelTxt/*.txt'):
        corners = np.array([line.split()[:8] for line in path.read_text().splitlines()[2:]], float)
        width, height = (int(corners[:, axis::2].max()) + 50 for axis in (0, 1))
        trees.write(tmp_path / f'source/val/images/{path.stem}.png', np.zeros((height, width, 3), np.uint8))
        trees.text(tmp_path / f'source/val/labelTxt/{path.name}', path.read_text())
    assert prepare(dota.__name__, tmp_path / 'source', tmp_path / 'out', 1)
    metric = predict(tmp_path / 'out')
    assert metric.compute_metrics(metric.results)['AP50'] == pytest.approx(100)
    truth = json.loads((tmp_path / 'out/annotations/val_images.json').read_text())['annotations']
    assert sum(map(len, submitted(metric, tmp_path).values())) == sum(not one['iscrowd'] for one in truth)


def independent_ap(detections: list, truth: list) -> float:
    """PASCAL VOC 2007, written from its definition: (score, corners) against (corners, difficult), in one picture."""
    claimed, hits = set(), []
    for _, corners in sorted(detections, key=lambda one: -one[0]):
        overlaps = [iou(corners, other) for other, _ in truth]
        best = int(np.argmax(overlaps))
        if overlaps[best] >= 0.5 and truth[best][1]:
            continue
        hits.append(overlaps[best] >= 0.5 and best not in claimed)
        if overlaps[best] >= 0.5:
            claimed.add(best)
    right = np.cumsum(hits)
    recall, precision = right / sum(not difficult for _, difficult in truth), right / np.arange(1, len(hits) + 1)
    return float(np.mean([max(precision[recall >= level - 1e-9], default=0) for level in np.arange(11) / 10]))


def off_by_some_pixels(tmp_path):
    objects = [one for one in scene() if one[0] in ('ship', 'large-vehicle', 'harbor')]
    metric = predict(prepare_scene(tmp_path, objects), jitter=12)
    return objects, metric, metric.compute_metrics(metric.results)['AP50']


def test_score_is_that_of_an_independent_implementation(tmp_path):
    objects, metric, score = off_by_some_pixels(tmp_path)
    found = submitted(metric, tmp_path)
    expected = [
        independent_ap(
            found[name], [(corners, bool(difficult)) for label, corners, difficult in objects if label == name]
        )
        for name in {one[0] for one in objects}
    ]
    assert 10 < score < 95
    assert score == pytest.approx(100 * np.mean(expected), abs=0.05)


def test_a_patch_has_no_object_that_it_does_not_show():
    """Slanted bars, whose straight boxes reach into patches that they do not."""
    rng, size = np.random.default_rng(0), (2672, 2672)
    patches, pieces = tiles(*size, 1024, 200), 0
    for _ in range(150):
        x, y = rng.uniform(200, 2472, 2)
        bar = rectangle(x, y, rng.uniform(600, 2500), rng.uniform(8, 120), rng.uniform(0, 180))
        shown = patch_objects([annotation(0, horizontal(bar), False, bar)], patches, size)
        for patch, objects in zip(patches, shown):
            visible = shapely.intersection(polygons(np.array(bar))[0], shapely.box(*patch))
            assert len(objects) == 1 if visible.area > 50_000 else len(objects) <= (visible.area > 0)
            for one in objects:
                corners = np.reshape(one['segmentation'][0], (4, 2)) + patch[:2]
                assert shapely.polygons(corners).intersects(visible)
                assert min(np.linalg.norm(corners[1] - corners[0]), np.linalg.norm(corners[2] - corners[1])) > 0.9
                pieces += 1
    assert pieces > 300


@pytest.mark.parametrize(
    'corners, said',
    [
        ('10 10 50 50 90 90 30 30', 'has an empty box'),
        ('10 10 60 10 60 10 10 10', 'has an empty box'),
        ('10 10 60 10 60 30 10 1e30', 'reaches far beyond the image'),
    ],
)
def test_boxes_that_no_loss_survives_are_left_out(tmp_path, corners, said):
    trees.write(tmp_path / 'source/train/images/P0001.png', np.zeros((128, 128, 3), np.uint8))
    label = tmp_path / 'source/train/labelTxt/P0001.txt'
    label.parent.mkdir()
    label.write_text(f'imagesource:x\ngsd:1\n{corners} ship 0\n10 10 60 10 60 30 10 30 ship 0\n')
    prepare(dota.__name__, tmp_path / 'source', tmp_path / 'out', 1)
    assert f'line 3 (ship) {said}' in (tmp_path / 'out/problems.txt').read_text()
    found = json.loads((tmp_path / 'out/annotations/train_patches.json').read_text())['annotations']
    assert [one['bbox'] for one in found] == [[10, 10, 50, 20]]


def test_score_is_that_of_mmrotate(tmp_path):
    pytest.importorskip('mmrotate')
    from mmrotate.evaluation import eval_rbbox_map

    import mmest.rotated  # noqa: F401

    objects, metric, score = off_by_some_pixels(tmp_path)
    found = submitted(metric, tmp_path)
    detections = [
        np.array([[*corners, score] for score, corners in found[name]], np.float32).reshape(-1, 9)
        for name in dota.CLASSES
    ]
    truth = dict(
        bboxes=torch.tensor([corners for _, corners, _ in objects]).float(),
        labels=np.array([dota.CLASSES.index(name) for name, *_ in objects]),
        bboxes_ignore=torch.zeros(0, 8),
        labels_ignore=np.zeros(0, int),
    )
    theirs, _ = eval_rbbox_map([detections], [truth], box_type='qbox', nproc=1)
    assert score == pytest.approx(100 * theirs, abs=0.05)


def test_straight_and_oriented_agree_on_straight_boxes():
    """Where none is cut off: pieces of straight boxes join to straight ones, of oriented ones to the smallest
    rectangle.
    """
    rng = np.random.default_rng(3)
    corner = rng.uniform(70, 120, (60, 2))
    boxes = np.hstack([corner, corner + rng.uniform(4, 20, (60, 2))])
    patches = np.array([[0, 0, 150, 200], [60, 0, 200, 200]])
    owners, scores = rng.integers(2, size=60), rng.permutation(60) / 60
    ours, ranks = merge(boxes, scores, owners, patches, 0.2)
    theirs, same = merge(STRAIGHT.corners(boxes), scores, owners, patches, 0.2, geometry=ORIENTED)
    assert 30 < len(ours) < 60
    assert (ranks == same).all() and ORIENTED.bounds(theirs) == pytest.approx(ours)


def test_neighbours_whose_upright_rectangles_overlap_stay_apart():
    patches = np.array([[0, 0, 100, 100], [60, 0, 160, 100]])
    ships = np.array([rectangle(80 + 8 * i, 40 + 8 * i, 40, 8, -45) for i in range(2)])
    assert STRAIGHT.overlap_inside(ORIENTED.bounds(ships[:1]), ORIENTED.bounds(ships[1:]), patches[0])[0][0, 0] > 0.3
    merged, _ = merge(ships, np.array([0.9, 0.8]), np.array([0, 1]), patches, 0.3, geometry=ORIENTED)
    assert len(merged) == 2


def test_merging_nothing():
    boxes, scores = merge(np.zeros((0, 8)), np.zeros(0), np.zeros(0, int), np.array([[0, 0, 9, 9]]), geometry=ORIENTED)
    assert boxes.shape == (0, 8) and scores.shape == (0,)


def test_corners_of_rotated_boxes():
    boxes = np.array([[50, 40, 30, 10, np.radians(25)], [9, 8, 4, 6, -np.radians(80)]])
    expected = [rectangle(*box[:4], np.degrees(box[4])) for box in boxes]
    assert rotated_corners(boxes) == pytest.approx(np.array(expected))
    rotate = pytest.importorskip('mmrotate.structures.bbox')
    theirs = rotate.rbox2qbox(torch.tensor(boxes)).numpy().reshape(-1, 4, 2)
    for ours, same in zip(rotated_corners(boxes).reshape(-1, 4, 2), theirs):  # they begin at another corner
        assert np.array(sorted(ours.tolist())) == pytest.approx(np.array(sorted(same.tolist())))


def test_crosswise_corners_are_one_polygon():
    crosswise = np.array([[0.0, 0, 10, 10, 10, 0, 0, 10]])
    assert shapely.area(polygons(crosswise)) == pytest.approx(100)
    assert shapely.Polygon(
        smallest_rectangle(np.array([[5.0, 0], [10, 5], [5, 10], [0, 5]])).reshape(4, 2)
    ).area == pytest.approx(50)


@pytest.mark.parametrize('x, shown', [(1000, True), (1040, False)])
def test_a_piece_is_the_whole_box_or_ignored(x, shown):
    corners = rectangle(x, 100, 100, 20, 45)
    patches = tiles(1300, 500, 1024, 200)
    first, second = patch_objects([annotation(0, horizontal(corners), False, corners)], patches, (1300, 500))
    [piece], [whole] = first, second
    assert whole['segmentation'][0] == pytest.approx(np.array(corners) - np.tile(patches[1][:2], 4), abs=0.01)
    assert not whole['iscrowd'] and piece['iscrowd'] == (not shown)
    if shown:
        assert piece['segmentation'][0] == pytest.approx(np.array(corners), abs=0.01)
    else:
        visible = shapely.intersection(shapely.Polygon(np.reshape(corners, (4, 2))), shapely.box(*patches[0]))
        assert shapely.Polygon(np.reshape(piece['segmentation'][0], (4, 2))).buffer(0.1).contains(visible)
        assert ORIENTED.bounds(np.array(piece['segmentation']))[0, 2] < 1024 + 20


def test_dior_r_has_the_corners_of_the_annotation(tmp_path):
    trees.dior(tmp_path / 'source')
    assert prepare(dior_r.__name__, tmp_path / 'source', tmp_path / 'out', 1)
    content = json.loads((tmp_path / 'out/annotations/trainval.json').read_text())
    assert len(content['images']) == 3 and len(content['annotations']) == 6
    for one, (label, *corners) in zip(content['annotations'], trees.DIOR_CORNERS * 3):
        assert dior_r.CLASSES[one['category_id'] - 1] == label
        assert one['segmentation'] == [[value - 1 for value in corners]]  # VOC counts pixels from 1
        assert one['bbox'] == horizontal(one['segmentation'][0])


def test_horizontal_boxes_alone_are_not_dior_r(tmp_path):
    trees.dior(tmp_path / 'source')
    for path in (tmp_path / 'source/Annotations/Oriented Bounding Boxes').iterdir():
        path.unlink()
    with pytest.raises(ValueError, match='No oriented boxes were found with their image'):
        prepare(dior_r.__name__, tmp_path / 'source', tmp_path / 'out', 1)


@pytest.mark.parametrize(
    'attributes, oriented',
    [
        (dict(predict_box_type='rbox'), True),
        (dict(predict_box_type='hbox', bbox_coder=SimpleNamespace(encode_size=4)), False),
        (dict(bbox_coder=SimpleNamespace(encode_size=5)), True),
        ({}, False),
    ],
)
def test_heads_of_rotated_boxes_are_known(attributes, oriented):
    model = torch.nn.Sequential(torch.nn.Identity())
    vars(model[0]).update(attributes)
    assert predicts_oriented(model) == oriented


def test_horizontal_boxes_are_refused_by_name(tmp_path):
    pytest.importorskip('mmrotate')
    from mmest.datasets.oriented import OrientedDIORDataset

    trees.dior(tmp_path / 'source')
    prepare(dior_r.__name__, tmp_path / 'source', tmp_path / 'out', 1)
    path = tmp_path / 'out/annotations/train.json'
    content = json.loads(path.read_text())
    for one in content['annotations']:
        del one['segmentation']
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match='objects without corners'):
        OrientedDIORDataset(ann_file=str(path), data_prefix=dict(img=str(tmp_path / 'out/images')))


def test_data_sets_give_corners_to_the_pipeline(tmp_path):
    pytest.importorskip('mmrotate')
    from mmest.datasets.oriented import OrientedDIORDataset

    trees.dior(tmp_path / 'source')
    prepare(dior_r.__name__, tmp_path / 'source', tmp_path / 'out', 1)
    cfg = open_config('mmest::detection/dior_r/oriented-rcnn')
    init_default_scope('mmdet')
    dataset = OrientedDIORDataset(
        ann_file=str(tmp_path / 'out/annotations/train.json'),
        data_prefix=dict(img=str(tmp_path / 'out/images')),
        pipeline=cfg.test_pipeline,
        test_mode=True,
    )
    boxes = dataset[0]['data_samples'].gt_instances.bboxes
    assert type(boxes).__name__ == 'RotatedBoxes'
    assert boxes.regularize_boxes('le90')[0, 2:4].tolist() == pytest.approx([30 * 2**0.5, 20 * 2**0.5], abs=0.01)


@pytest.mark.skipif(importlib.util.find_spec('mmrotate') is not None, reason='mmrotate is there')
def test_without_mmrotate_one_sentence_says_what_to_install():
    with pytest.raises(
        ValueError, match='Oriented boxes need mmrotate 1.x.*make setup STACK=onedl, or pip install onedl-mmrotate'
    ):
        open_config('mmest::detection/dota/oriented-rcnn')
