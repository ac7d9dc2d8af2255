"""Random scenes of separated objects, seen tile by tile by an ideal detector: each object comes out exactly once."""

import tracemalloc

import numpy as np
import pytest
import shapely
from scipy.optimize import linear_sum_assignment

from mmest.tiles.geometry import ORIENTED, STRAIGHT, smallest_rectangle
from mmest.tiles.grid import tiles
from mmest.tiles.merge import _pairs, merge, merge_objects, merge_patches

SIZE = (2600, 1900)


def scene(rng: np.random.Generator, count: int, turned: bool) -> list[shapely.Polygon]:
    """Rectangles from 8 pixels to beyond a tile, 6 pixels or more apart."""
    found = []
    for _ in range(5 * count):
        length = np.exp(rng.uniform(*np.log([8, 2200])))
        sides = np.diag([length, length * rng.uniform(0.2, 1)]) / 2
        angle = rng.uniform(0, np.pi) if turned else rng.integers(2) * np.pi / 2
        along, across = sides @ [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        corners = rng.uniform(0, 1, 2) * SIZE + [-along - across, along - across, along + across, across - along]
        one = shapely.Polygon(corners)
        inside = (corners >= 0).all() and (corners <= SIZE).all()
        if len(found) < count and inside and all(one.distance(other) >= 6 for other in found):
            found.append(one)
    return found


def straight(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points.min(0), points.max(0)])


def seen(objects, patches, box):
    """What an ideal detector gives: a box around the visible part of each object, in every patch."""
    found = [
        (owner, number, box(shapely.get_coordinates(part)))
        for owner, patch in enumerate(patches)
        for number, part in enumerate(shapely.intersection(objects, shapely.box(*patch)))
        if part.area >= 4
    ]
    owners, numbers, boxes = zip(*found)
    return np.array(boxes), np.array(owners), np.array(numbers)


@pytest.mark.parametrize('size, overlap', [(1024, 200), (512, 256), (512, 100), (256, 64)])
@pytest.mark.parametrize(
    'turned, box, geometry',
    [(False, straight, STRAIGHT), (True, straight, STRAIGHT), (True, smallest_rectangle, ORIENTED)],
    ids=['straight', 'slanted in straight boxes', 'oriented'],
)
def test_every_object_exactly_once(size, overlap, turned, box, geometry):
    patches = np.array(tiles(*SIZE, size, overlap))
    for seed in range(3):
        rng = np.random.default_rng(seed)
        objects = scene(rng, 40, turned)
        boxes, owners, _ = seen(objects, patches, box)
        found, scores = merge(boxes, rng.uniform(0.3, 1, len(boxes)), owners, patches, geometry=geometry)
        assert len(found) == len(objects) and (np.diff(scores) <= 0).all()
        truth = np.array([box(shapely.get_coordinates(one)) for one in objects])
        iou = geometry.overlap_inside(found, truth, np.array([-9, -9, 9999, 9999]))[0]
        assert sorted(iou.argmax(1)) == list(range(len(objects))), 'each is found, and none twice'
        # The pieces of a slanted object do not tell its corners exactly.
        assert iou.max(1).min() > (0.3 if turned else 0.999)


def test_the_best_piece_touches_the_others_only_through_the_whole_object():
    patches = [
        dict(patch=(768, 0, 1280, 512), boxes=np.array([[1180.0, 20, 1280, 70]]), scores=np.array([0.7])),
        dict(patch=(1024, 0, 1536, 512), boxes=np.array([[1180.0, 20, 1360, 70]]), scores=np.array([0.6])),
        dict(patch=(1280, 0, 1792, 512), boxes=np.array([[1280.0, 20, 1360, 70]]), scores=np.array([0.8])),
    ]
    patches = [dict(patch, labels=np.array([1])) for patch in patches]
    nothing, found = merge_patches(patches, 2)
    assert nothing.shape == (0, 5) and found.tolist() == [[1180, 20, 1360, 70, 0.8]]
    [one] = merge_objects(patches, 2)
    assert (one.label, one.score, one.members[0], sorted(one.members)) == (1, 0.8, 2, [0, 1, 2])


SIDE_BY_SIDE = np.array([(0, 0, 512, 512), (256, 0, 768, 512)])


def objects_of(boxes, scores, geometry=STRAIGHT, patches=SIDE_BY_SIDE, owners=(0, 1)):
    """Box and members of each object, of straight boxes that the patches of these numbers show."""
    rows = np.array(boxes, float) if geometry is STRAIGHT else STRAIGHT.corners(np.array(boxes, float))
    shown = [np.flatnonzero(np.equal(owners, patch)) for patch in range(len(patches))]
    seen = [
        dict(patch=patch, boxes=rows[own], scores=np.array(scores)[own], labels=np.zeros(len(own), int))
        for patch, own in zip(patches, shown)
    ]
    order = np.concatenate(shown)
    return [
        (geometry.bounds(one.box[None])[0].tolist(), order[one.members].tolist())
        for one in merge_objects(seen, 1, geometry=geometry)
    ]


@pytest.mark.parametrize('geometry', [STRAIGHT, ORIENTED])
@pytest.mark.parametrize('top', [0, 3, 100], ids=['at the border of the image', 'near it', 'inside'])
def test_a_whole_object_is_its_best_detection_alone(top, geometry):
    boxes = [[300, top, 360, top + 60], [290, top, 370, top + 70]]
    assert objects_of(boxes, [0.9, 0.8], geometry) == [(boxes[0], [0])]
    assert objects_of(boxes, [0.8, 0.9], geometry) == [(boxes[1], [1])]


def test_of_equal_scores_the_whole_object_leads_the_piece():
    piece, whole = [444, 100, 512, 160], [440, 100, 560, 160]
    assert objects_of([piece, whole], [0.7, 0.7]) == [(whole, [1])]
    assert objects_of([piece, whole], [0.8, 0.7]) == [([444, 100, 560, 160], [0, 1])]


@pytest.mark.parametrize('top, expected', [(97, 100), (90, 90)])
def test_a_piece_grows_at_its_other_sides_by_more_than_detectors_err(top, expected):
    boxes = [[440, 100, 512, 160], [440, top, 560, 160]]
    assert objects_of(boxes, [0.9, 0.8]) == [([440, expected, 560, 160], [0, 1])]


@pytest.mark.parametrize('owners', [(0, 1, 2, 0), (1, 0, 2, 1)])
def test_a_patch_has_one_detection_of_an_object_and_pairs_that_agree_best_go_first(owners):
    """Four boxes in a row, each paired with the next; the first and the last are of one patch."""
    boxes = [[left, 100, left + 100, 200] for left in (200, 206, 214, 224)]
    patches = np.array([(0, 0, 512, 512), (50, 0, 562, 512), (100, 0, 612, 512)])
    found = objects_of(boxes, [0.6, 0.9, 0.5, 0.8], patches=patches, owners=owners)
    assert found == [(boxes[1], [1]), (boxes[3], [3])]


def test_neighbours_that_one_patch_tells_apart_stay_apart():
    patches = np.array([(0, 0, 512, 512), (256, 0, 768, 512)])
    row = np.array([[300 + 12 * i, 100 + 2 * i, 380 + 12 * i, 180 + 2 * i] for i in range(9)], float)
    jitter = np.random.default_rng(0).normal(0, 2, row.shape)
    found, _ = merge(np.vstack([row, row + jitter]), np.linspace(1, 0.5, 18), np.repeat([0, 1], 9), patches)
    assert len(found) == 9


def pairs_of_all(boxes, cut, owners, patches, iou, geometry):
    """By definition: every patch with every other, whatever it shows."""
    pairs, bounds = [], geometry.bounds(boxes)
    low = np.maximum(patches[:, None, :2], patches[None, :, :2])
    high = np.minimum(patches[:, None, 2:], patches[None, :, 2:])
    for first, second in np.argwhere(np.triu((high > low).all(-1), 1)):
        ground = np.concatenate([low[first, second], high[first, second]])
        there = ((bounds[:, :2] < ground[2:]) & (bounds[:, 2:] > ground[:2])).all(1)
        rows, columns = (np.flatnonzero(there & (owners == patch)) for patch in (first, second))
        agreement, share = geometry.overlap_inside(boxes[rows], boxes[columns], ground)
        same = (agreement >= iou) | ((cut[rows][:, None] | cut[columns]) & (share >= 0.8))
        for row, column in zip(*linear_sum_assignment(np.where(same, agreement, 0), maximize=True)):
            if same[row, column]:
                pairs.append((float(agreement[row, column]), int(rows[row]), int(columns[column])))
    return pairs


@pytest.mark.parametrize('geometry', [STRAIGHT, ORIENTED])
@pytest.mark.parametrize('grid', [True, False], ids=['grid', 'anywhere'])
def test_pairs_are_those_of_all_patches_in_their_order(geometry, grid):
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        corners = rng.integers(0, 900, (30, 2))
        sides = rng.integers(1, 400, (30, 2))
        patches = np.array(tiles(1000, 700, 256, 64)) if grid else np.hstack([corners, corners + sides])
        count = int(rng.integers(0, 400))
        # Some patches show nothing; equal detections agree equally, so that their order counts.
        owners = rng.choice(rng.permutation(len(patches))[:12], count)
        middles = patches[owners, :2] + rng.uniform(0, 1, (count, 2)) * (patches[owners, 2:] - patches[owners, :2])
        half = rng.choice([8, 16, 40], (count, 1))
        boxes = np.hstack([middles - half, middles + half]).round(-1)
        if geometry is ORIENTED:
            boxes = STRAIGHT.corners(boxes)
        cut = rng.random(count) < 0.3
        pairs = _pairs(boxes, cut, owners, patches, 0.5, geometry)
        assert pairs == pairs_of_all(boxes, cut, owners, patches, 0.5, geometry)
        found += len(pairs)
    assert found > 300


def test_a_large_scene_needs_memory_by_what_is_found():
    nothing = dict(boxes=np.zeros((0, 4)), scores=np.zeros(0), labels=np.zeros(0, int))
    patches = [dict(nothing, patch=box) for box in tiles(30_000, 30_000, 800, 160)]
    one = dict(boxes=np.array([[700.0, 5, 780, 30]]), scores=np.array([0.9]), labels=np.array([0]))
    patches[0].update(one)
    patches[1].update(one)
    tracemalloc.start()
    found = merge_objects(patches, 1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [one.box.tolist() for one in found] == [[700, 5, 780, 30]] and peak < 1e6
