"""Whole images: every object once, every pixel once, the georeference kept, memory that does not grow."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import official_trees as trees
import pytest
from PIL import Image
from scenes import COLOURS, RECTANGLES, SIZE, Colours, TurnedColours, geotiff

from mmest.pictures import ImageFile
from mmest.prediction.boxes import predict_boxes
from mmest.prediction.masks import predict_mask
from mmest.tiles.parts import tiles_with_parts


@pytest.fixture
def scene(tmp_path):
    """An image of rectangles, one of them in a hole of another, and its class numbers."""
    numbers = np.zeros(SIZE[::-1], np.uint8)
    for label, x0, y0, x1, y1 in RECTANGLES[2:] + RECTANGLES[:2]:
        numbers[y0:y1, x0:x1] = label
    trees.write(tmp_path / 'scene.png', COLOURS[numbers])
    return tmp_path / 'scene.png', numbers


@pytest.mark.parametrize('width, height, size, overlap', [(700, 300, 200, 40), (50, 300, 64, 0), (333, 64, 64, 63)])
def test_parts_cover_every_pixel_once_and_lie_in_their_tiles(width, height, size, overlap):
    seen = np.zeros((height, width), int)
    for tile, part in tiles_with_parts(width, height, size, overlap):
        assert tile[0] <= part[0] < part[2] <= tile[2] and tile[1] <= part[1] < part[3] <= tile[3]
        seen[part[1] : part[3], part[0] : part[2]] += 1
    assert (seen == 1).all()


def test_mask_of_a_png(scene, tmp_path):
    path, numbers = scene
    written = predict_mask(Colours(), ImageFile(path), tmp_path / 'out', 200, 40, lambda: None)
    assert [one.name for one in written] == ['scene_mask.png', 'scene_overlay.png']
    found = Image.open(written[0])
    assert (np.asarray(found) == numbers).all() and (np.asarray(found.convert('RGB')) == COLOURS[numbers]).all()
    assert sorted(one.name for one in (tmp_path / 'out').glob('[!.]*')) == sorted(one.name for one in written)


def test_mask_of_a_geotiff_keeps_the_georeference(scene, tmp_path):
    rasterio = pytest.importorskip('rasterio')
    path = geotiff(tmp_path / 'scene.tif', COLOURS[scene[1]])
    written = predict_mask(Colours(), ImageFile(path), tmp_path / 'out', 200, 40, lambda: None)
    with rasterio.open(written[0]) as found, rasterio.open(path) as source:
        assert (found.read(1) == scene[1]).all()
        assert found.crs == source.crs and found.transform == source.transform and found.bounds == source.bounds


def test_every_object_once_also_those_larger_than_a_tile(scene, tmp_path):
    path, numbers = scene
    simple = np.zeros_like(numbers)
    for label, x0, y0, x1, y1 in RECTANGLES:
        if (x0, y0) != (180, 90):
            simple[y0:y1, x0:x1] = label
    trees.write(path, COLOURS[simple])
    ticks = []
    written = predict_boxes(Colours(), ImageFile(path), tmp_path / 'out', 200, 40, 0.3, lambda: ticks.append(1))
    content = json.loads(written[1].read_text())
    found = sorted(
        (one['category_id'] - 1, *one['bbox'][:2], one['bbox'][0] + one['bbox'][2], one['bbox'][1] + one['bbox'][3])
        for one in content['annotations']
    )
    assert found == sorted(one for one in RECTANGLES if one[1:3] != (180, 90))
    assert len(ticks) == len(list(tiles_with_parts(*SIZE, 200, 40)))
    features = json.loads(written[0].read_text())
    assert features['coordinates'] == 'pixels' and len(features['features']) == 4
    assert features['features'][0]['properties'] == {'class': 'red', 'score': 0.9}
    assert cv2.imread(str(written[2])).shape == (300 + 28, 700, 3)  # a line of the legend
    assert predict_boxes(Colours(), ImageFile(path), tmp_path / 'out', 200, 40, 0.95, lambda: None)
    assert not json.loads(written[1].read_text())['annotations']


class Graded(Colours):
    """Scores the objects of a tile in steps."""

    def detect(self, tile):
        found = super().detect(tile)
        return replace(found, scores=0.9 - 0.2 * np.arange(len(found.scores)))


@pytest.mark.parametrize(
    'most, score, full', [(2, 0.3, 2), (2, 0.7, 2), (2, 0.8, 0), (2, 0.95, 0), (3, 0.3, 0), (None, 0.3, 0)]
)
def test_tiles_with_as_many_objects_as_the_model_gives_are_said(most, score, full, tmp_path, monkeypatch):
    """Two squares on each of two tiles, in a picture of three; where the last scores too little, none is missed."""
    numbers = np.zeros((200, 600), np.uint8)
    for column in (20, 120, 420, 520):
        numbers[20:60, column : column + 40] = 1
    trees.write(tmp_path / 'dense.png', COLOURS[numbers])
    said, model = [], Graded()
    model.most = most
    monkeypatch.setattr('mmest.prediction.boxes.print_log', lambda text, *_: said.append(text))
    with ImageFile(tmp_path / 'dense.png') as image:
        predict_boxes(model, image, tmp_path, 200, 0, score, lambda: None)
    assert len(said) == bool(full)
    if full:
        assert f'dense.png: the 2 objects that the model gives for a tile at most fill {full} of 3 tiles' in said[0]
        assert '--tile 100' in said[0]


def test_oriented_objects_once_with_their_corners(tmp_path):
    numbers = np.zeros(SIZE[::-1], np.uint8)
    turned = [(1, (100, 80), (90, 30), 30), (2, (400, 150), (420, 60), -12), (1, (620, 240), (50, 20), 60)]
    for label, *box in turned:
        cv2.fillPoly(numbers, [cv2.boxPoints(box).round().astype(np.int32)], label)
    trees.write(tmp_path / 'scene.png', COLOURS[numbers])
    written = predict_boxes(
        TurnedColours(), ImageFile(tmp_path / 'scene.png'), tmp_path / 'out', 200, 40, 0.3, lambda: None
    )
    found = json.loads(written[1].read_text())['annotations']
    rings = [feature['geometry']['coordinates'][0] for feature in json.loads(written[0].read_text())['features']]
    assert len(found) == len(rings) == len(turned)
    for label, *box in turned:
        [(one, ring)] = [
            (one, ring)
            for one, ring in zip(found, rings)
            if one['category_id'] == label + 1 and np.linalg.norm(np.mean(ring[:4], 0) - box[0]) < 4
        ]
        area = float(np.prod(box[1]))
        assert one['area'] == pytest.approx(cv2.contourArea(np.float32(one['segmentation'][0]).reshape(4, 2)), rel=1e-3)
        for corners in (one['segmentation'][0], ring[:4]):
            common = cv2.intersectConvexConvex(np.float32(corners).reshape(4, 2), cv2.boxPoints(box))[0]
            # The long one is put together from slanted pieces, whose rectangles are larger than they.
            largest = 1.15 if label == 1 else 1.5
            assert common > 0.85 * area and cv2.contourArea(np.float32(corners).reshape(4, 2)) < largest * area
        assert ring[0] == ring[4] and cv2.contourArea(np.float32(ring), oriented=True) > 0  # anticlockwise


def test_geojson_of_a_geotiff_is_longitude_and_latitude(scene, tmp_path):
    warp = pytest.importorskip('rasterio.warp')
    path = geotiff(tmp_path / 'scene.tif', COLOURS[scene[1]])
    written = predict_boxes(Colours(), ImageFile(path), tmp_path / 'out', 200, 40, 0.3, lambda: None)
    content = json.loads(written[0].read_text())
    assert content['coordinates'] == 'longitude, latitude'
    corners = {
        tuple(np.round(point, 9)) for feature in content['features'] for point in feature['geometry']['coordinates'][0]
    }
    longitude, latitude = warp.transform('EPSG:32633', 'EPSG:4326', [400010.0], [4999985.0])
    assert tuple(np.round((longitude[0], latitude[0]), 9)) in corners


def test_an_image_that_rasterio_would_be_needed_for(scene, tmp_path, monkeypatch):
    path = geotiff(tmp_path / 'scene.tif', COLOURS[scene[1]])
    monkeypatch.setattr('mmest.pictures.decoders.rasterio', None)
    monkeypatch.setattr('mmest.pictures.georeference.rasterio', None)
    image = ImageFile(path)
    assert 'georeference is left out, as rasterio is not installed' in image.georeference.note
    assert (image.read((10, 20, 110, 90)) == COLOURS[scene[1]][20:90, 10:110]).all()


def test_memory_does_not_grow_with_the_image(tmp_path):
    """A GeoTIFF of 20 000 by 20 000 pixels would take 1.2 GB decoded."""
    rasterio = pytest.importorskip('rasterio')
    path = tmp_path / 'large.tif'
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        height=20000,
        width=20000,
        count=3,
        dtype='uint8',
        tiled=True,
        SPARSE_OK=True,
        crs='EPSG:32633',
        transform=rasterio.Affine(0.5, 0, 400000, 0, -0.5, 5000000),
        compress='deflate',
    ):
        pass
    program = f"""
import resource, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, {str(Path(__file__).parent)!r})
from mmest.pictures import ImageFile
from mmest.tiles.geometry import STRAIGHT
from mmest.prediction.boxes import predict_boxes
from mmest.prediction.model import Detections

class Nothing:
    geometry, classes, palette, most = STRAIGHT, ('a', ), np.zeros((1, 3), np.uint8), None
    def detect(self, tile):
        return Detections(np.array([[1., 1, 9, 9]]), np.ones(1), np.zeros(1, int))

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
predict_boxes(Nothing(), ImageFile(Path({str(path)!r})), Path({str(tmp_path)!r}), 2048, 200, 0.3, lambda: None)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""
    grown = float(
        subprocess.run(
            [sys.executable, '-W', 'ignore', '-c', program],
            capture_output=True,
            text=True,
            check=True,
            env={'PYTHONPATH': ':'.join(sys.path), 'GDAL_CACHEMAX': '64'},
        ).stdout
    )
    assert grown < 400
    assert len(json.loads((tmp_path / 'large_coco.json').read_text())['annotations']) > 100
