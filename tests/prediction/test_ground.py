"""Where predictions lie on the ground: no data, world files, control points, maps without a way to the earth."""

import json

import numpy as np
import official_trees as trees
import pytest
from PIL import Image
from scenes import COLOURS, RECTANGLES, SIZE, Colours, geotiff

from mmest.pictures import ImageFile
from mmest.prediction.boxes import _kept, _share_with_data, predict_boxes
from mmest.prediction.masks import predict_mask
from mmest.prediction.model import Detections
from mmest.tiles.geometry import STRAIGHT

NUMBERS = np.zeros(SIZE[::-1], np.uint8)
for label, x0, y0, x1, y1 in RECTANGLES[3:] + RECTANGLES[:1]:
    NUMBERS[y0:y1, x0:x1] = label
RGB = COLOURS[NUMBERS]


def segment(path, out):
    with ImageFile(path) as image:
        return predict_mask(Colours(), image, out, 200, 40, lambda: None), image.georeference.note


def detect(path, out, model=None):
    with ImageFile(path) as image:
        written = predict_boxes(model or Colours(), image, out, 200, 40, 0.3, lambda: None)
        return json.loads(written[0].read_text()), image.georeference.note


def is_anticlockwise(ring):
    x, y = np.array(ring)[:-1].T
    return x @ np.roll(y, -1) > y @ np.roll(x, -1)


@pytest.mark.parametrize('kind', ['nodata', 'alpha', 'png'])
def test_ground_without_data_stays_without(tmp_path, kind):
    empty = np.zeros(SIZE[::-1], bool)
    empty[:, 580:] = True  # an object lies there, and all that the last tiles answer for
    if kind == 'png':
        path = tmp_path / 'x.png'
        Image.fromarray(np.dstack([RGB, np.where(empty, 0, 255).astype(np.uint8)])).save(path)
    elif kind == 'alpha':
        path = geotiff(tmp_path / 'x.tif', np.dstack([RGB, np.where(empty, 0, 255)]).astype(np.uint8), alpha='yes')
    else:
        path = geotiff(tmp_path / 'x.tif', np.where(empty[..., None], 7, RGB).astype(np.uint8), nodata=7)
    written, _ = segment(path, tmp_path / 'out')
    expected = np.where(empty, 255, NUMBERS)
    if kind == 'png':
        mask = Image.open(written[0])
        assert np.array_equal(np.asarray(mask), expected) and mask.info['transparency'] == 255
    else:
        rasterio = pytest.importorskip('rasterio')
        with rasterio.open(written[0]) as found:
            assert found.nodata == 255 and np.array_equal(found.read(1), expected)
    assert (np.asarray(Image.open(written[-1]))[:300, 620:] == 255).all(), 'white in the overlay'
    found, _ = detect(path, tmp_path / 'out')
    assert sorted(one['properties']['class'] for one in found['features']) == ['blue', 'red']


def test_world_files_are_kept(tmp_path):
    pytest.importorskip('rasterio')
    lines = '0.05\n0\n0\n-0.05\n366976.3\n5808958.8\n'
    Image.fromarray(RGB).save(tmp_path / 'a.tif')
    (tmp_path / 'a.tfw').write_text(lines)
    Image.fromarray(RGB).save(tmp_path / 'b.png')
    (tmp_path / 'b.pgw').write_text(lines)
    for name in ('a.tif', 'b.png'):
        written, note = segment(tmp_path / name, tmp_path / 'out')
        assert 'CRS' in note
        with ImageFile(written[0]) as mask:
            assert np.allclose(mask.georeference.affine, (0.05, 0, 366976.275, 0, -0.05, 5808958.825))
        content, _ = detect(tmp_path / name, tmp_path / 'out')
        assert content['coordinates'] == 'map' and 'crs' not in content
        rings = [one['geometry']['coordinates'][0] for one in content['features']]
        assert [366976.275 + 0.05 * 20, 5808958.825 - 0.05 * 30] in np.round(rings, 6).reshape(-1, 2).tolist()
        assert all(map(is_anticlockwise, rings))


def test_world_files_are_kept_without_rasterio(tmp_path, monkeypatch):
    for module in ('pictures.decoders', 'pictures.georeference', 'prediction.masks'):
        monkeypatch.setattr(f'mmest.{module}.rasterio', None)
    trees.write(tmp_path / 'a.png', RGB)
    (tmp_path / 'a.PGW').write_text('0.5\n0\n0\n-0.5\n100.25\n199.75\n')
    written, note = segment(tmp_path / 'a.png', tmp_path / 'out')
    assert [one.name for one in written] == ['a_mask.png', 'a_mask.pgw', 'a_overlay.png'] and 'CRS' in note
    assert np.allclose([float(line) for line in written[1].read_text().split()], [0.5, 0, 0, -0.5, 100.25, 199.75])
    assert detect(tmp_path / 'a.png', tmp_path / 'out')[0]['coordinates'] == 'map'
    (tmp_path / 'a.PGW').write_text('half a file')
    content, note = detect(tmp_path / 'a.png', tmp_path / 'out')
    assert content['coordinates'] == 'pixels' and 'a.PGW is left out, as it does not hold six numbers' in note


@pytest.mark.parametrize(
    'corners, share',
    [
        ([(50, 10), (70, 10), (70, 30), (50, 30)], 0.5),
        ([(75, 10), (95, 10), (95, 30), (75, 30)], 0.25),
        ([(60, 0), (80, 0), (80, 40), (60, 40)], 1),
        ([(50, 20), (70, 0), (90, 20), (70, 40)], 0.75),  # turned: half of the rectangle around it has data
        ([(-20, 10), (5, 10), (5, 20), (-20, 20)], 0),
        ([(70, -20), (78, -20), (78, 5), (70, 5)], 1),
        ([(130, 10), (150, 10), (150, 20), (130, 20)], 0),
    ],
)
def test_the_share_of_an_object_that_has_data(corners, share):
    valid = np.zeros((40, 100), bool)
    valid[:, 60:80] = True
    assert _share_with_data(np.array(corners, float), valid) == pytest.approx(share, abs=0.03)


def test_objects_of_which_half_has_data_are_kept():
    valid = np.zeros((40, 100), bool)
    valid[:, :50] = True
    boxes = np.array([[left, 10, left + 20, 30] for left in (10, 38, 39, 41, 42, 70)], float)
    found = _kept(Detections(boxes, np.full(6, 0.5), np.arange(6)), 0.5, valid, STRAIGHT)
    assert found.labels.tolist() == [0, 1, 2]
    assert _kept(Detections(boxes, np.full(6, 0.4), np.arange(6)), 0.5, valid, STRAIGHT).labels.tolist() == []


@pytest.mark.parametrize('with_rasterio', [True, False])
def test_a_turned_map_lies_where_its_world_file_says(with_rasterio, tmp_path, monkeypatch):
    """Six different numbers, of which two turn it; and the middle of the first pixel is not its corner."""
    if with_rasterio:
        pytest.importorskip('rasterio')
    else:
        for module in ('pictures.decoders', 'pictures.georeference', 'prediction.masks'):
            monkeypatch.setattr(f'mmest.{module}.rasterio', None)
    Image.fromarray(RGB).save(tmp_path / 'a.PNG')
    (tmp_path / 'a.pgw').write_text('0.5\n-0.25\n0.125\n-0.75\n1000\n2000\n')
    middles = np.array([[0.5, 0.5], [100.5, 0.5], [0.5, 10.5]])
    expected = [[1000, 2000], [1000 + 50, 2000 - 25], [1000 + 1.25, 2000 - 7.5]]
    with ImageFile(tmp_path / 'a.PNG') as image:
        np.testing.assert_allclose(image.georeference.locate(middles), expected)
    written, _ = segment(tmp_path / 'a.PNG', tmp_path / 'out')
    with ImageFile(written[0]) as mask:
        np.testing.assert_allclose(mask.georeference.locate(middles), expected)


def test_control_points_are_kept(tmp_path):
    rasterio = pytest.importorskip('rasterio')
    from rasterio.control import GroundControlPoint as Point

    grid = [(row, column) for row in (0, 150, 300) for column in (0, 350, 700)]
    points = [Point(row, column, 12 + column * 1e-5, 45 - row * 1e-5) for row, column in grid]
    path = tmp_path / 'x.tif'
    options = dict(driver='GTiff', height=300, width=700, count=3, dtype='uint8')
    with rasterio.open(path, 'w', gcps=points, crs='EPSG:4326', **options) as target:
        target.write(RGB.transpose(2, 0, 1))
    written, note = segment(path, tmp_path / 'out')
    assert not note
    with rasterio.open(written[0]) as found:
        assert len(found.gcps[0]) == 9 and found.gcps[1] == 'EPSG:4326' and (found.read(1) == NUMBERS).all()
    content, _ = detect(path, tmp_path / 'out')
    assert content['coordinates'] == 'longitude, latitude'
    corners = np.array([one['geometry']['coordinates'][0] for one in content['features']]).reshape(-1, 2)
    assert np.abs(corners - [12 + 20e-5, 45 - 30e-5]).max(1).min() < 1e-9


def test_a_map_without_a_way_to_the_earth_gives_its_coordinates(tmp_path):
    rasterio = pytest.importorskip('rasterio')
    crs = rasterio.crs.CRS.from_wkt('LOCAL_CS["site",UNIT["metre",1]]')
    path = geotiff(tmp_path / 'x.tif', RGB, crs=crs)
    content, note = detect(path, tmp_path / 'out')
    assert content['coordinates'] == 'map' and 'no way leads from its CRS to WGS 84' in note
    assert 'site' in content['crs']['properties']['name']
    corners = np.array([one['geometry']['coordinates'][0] for one in content['features']]).reshape(-1, 2)
    assert [400010.0, 4999985.0] in corners.tolist()
    assert segment(path, tmp_path / 'out')[0][0].suffix == '.tif'


def test_rings_are_anticlockwise_wherever_they_lie(tmp_path):
    pytest.importorskip('rasterio')
    trees.write(tmp_path / 'pixels.png', RGB)
    geotiff(tmp_path / 'north.tif', RGB)
    geotiff(tmp_path / 'flipped.tif', RGB, transform=(0.5, 0, 400000, 0, 0.5, 5000000))
    for name in ('pixels.png', 'north.tif', 'flipped.tif'):
        for feature in detect(tmp_path / name, tmp_path / 'out')[0]['features']:
            assert is_anticlockwise(feature['geometry']['coordinates'][0]), name


@pytest.mark.parametrize('left', [190, 179.9999, 540, -170])
def test_longitudes_beyond_180_are_counted_from_the_west(tmp_path, left):
    """What lies across the 180th meridian stays in one piece."""
    pytest.importorskip('rasterio')
    path = geotiff(tmp_path / 'x.tif', RGB, crs='EPSG:4326', transform=(1e-6, 0, left, 0, -1e-6, 10))
    content, _ = detect(path, tmp_path / 'out')
    rings = [np.array(one['geometry']['coordinates'][0]) for one in content['features']]
    expected = geotiff(tmp_path / 'y.tif', RGB, crs='EPSG:4326', transform=(1e-6, 0, 0, 0, -1e-6, 10))
    near_0 = [np.array(one['geometry']['coordinates'][0]) for one in detect(expected, tmp_path / 'out')[0]['features']]
    assert len(rings) == len(near_0) > 0
    for ring, other in zip(rings, near_0):
        assert np.abs(ring[:, 0]).max() < 180.001
        turns = (ring - other - (left, 0))[:, 0] / 360
        np.testing.assert_allclose(turns, np.round(turns).mean(), atol=1e-8)
