"""Georeferenced rasters with vector labels: tiles, boxes, masks and splits of ground."""

import json
from itertools import product

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('rasterio', reason='rasterio is not installed (pip install mmest[geo])')
pytest.importorskip('pyogrio', reason='pyogrio is not installed (pip install mmest[geo])')

import ground
import rasterio
import rasterio.windows
import shapely
from rasterio.shutil import copy
from rasterio.warp import transform

from mmest.datasets.own.detect import read
from mmest.datasets.own.levels import find_levels
from mmest.datasets.own.no_data import blank
from mmest.datasets.own.prepare import prepare
from mmest.pictures import UnusableImage

WIDTH, HEIGHT, TILE = 900, 500, 128
VECTORS = {'roofs.gpkg': ground.GROUND, 'roofs.geojson': 'EPSG:4326', 'roofs.shp': 'EPSG:3857'}


def scene(folder, vector: str = 'roofs.gpkg'):
    found = ground.boxes(WIDTH, HEIGHT)
    ground.raster(folder / 'scene.tif', WIDTH, HEIGHT, found)
    crs = VECTORS[vector]
    ground.vectors(folder / vector, ground.polygons(found, crs=crs), [ground.KINDS[one[0]] for one in found], crs)
    return found


def windows(prepared, split: str) -> dict:
    """Tiles by name as x0, y0, x1, y1."""
    content = json.loads(prepared.labels(split).read_text())
    found = {}
    for image in content['images']:
        x, y = map(int, image['file_name'][:-4].rsplit('_', 2)[1:])
        found[image['file_name']] = (x, y, x + image['width'], y + image['height'])
    return found


@pytest.mark.parametrize('vector', VECTORS)
def test_boxes_on_tiles_are_those_that_were_drawn(vector, tmp_path):
    drawn = np.array(scene(tmp_path / 'own', vector))
    prepared = prepare(tmp_path / 'own', tmp_path / 'out', 'detection', TILE)
    assert prepared.classes == list(ground.KINDS)
    seen = 0
    for split in ('train', 'val'):
        content = json.loads(prepared.labels(split).read_text())
        names = {image['id']: image['file_name'] for image in content['images']}
        places = windows(prepared, split)
        for name, window in places.items():
            boxes = [one for one in content['annotations'] if names[one['image_id']] == name and not one['iscrowd']]
            inside = drawn[
                (drawn[:, 1] >= window[0])
                & (drawn[:, 2] >= window[1])
                & (drawn[:, 3] <= window[2])
                & (drawn[:, 4] <= window[3])
            ]
            found = {(one['category_id'] - 1, *np.round(one['bbox']).astype(int).tolist()) for one in boxes}
            for kind, x0, y0, x1, y1 in inside.tolist():
                assert (kind, x0 - window[0], y0 - window[1], x1 - x0, y1 - y0) in found
            seen += len(inside)
            pixels = np.asarray(Image.open(prepared.images / name))
            assert pixels.shape[:2] == (window[3] - window[1], window[2] - window[0])
            for kind, x, y, w, h in found:
                assert (pixels[y + 1 : y + h - 1, x + 1 : x + w - 1, kind] == 230).all()
    assert seen > 100


@pytest.mark.parametrize('seed', range(4))
def test_ground_that_validates_is_away_from_ground_that_trains(seed, tmp_path):
    scene(tmp_path / 'own')
    prepared = prepare(tmp_path / 'own', tmp_path / 'out', 'detection', TILE, seed)
    train, val = (windows(prepared, split).values() for split in ('train', 'val'))
    assert train and val
    for a, b in product(train, val):
        apart = max(b[0] - a[2], a[0] - b[2], b[1] - a[3], a[1] - b[3])
        assert apart >= TILE // 4
    assert any('blocks of the ground validate' in note and f'seed {seed}' in note for note in prepared.notes)


def test_masks_on_tiles_are_those_that_were_drawn(tmp_path):
    drawn = scene(tmp_path / 'own', 'roofs.geojson')
    whole = np.zeros((HEIGHT, WIDTH), np.uint8)
    for kind, x0, y0, x1, y1 in drawn:
        whole[y0:y1, x0:x1] = kind + 1
    prepared = prepare(tmp_path / 'own', tmp_path / 'out', 'segmentation', TILE)
    assert prepared.classes == ['background', *ground.KINDS]
    for name in prepared.labels('val').read_text().split():
        mask = np.asarray(Image.open(prepared.folder / 'masks' / f'{name}.png'))
        x, y = map(int, name[:-4].rsplit('_', 2)[1:])
        np.testing.assert_array_equal(mask, whole[y : y + mask.shape[0], x : x + mask.shape[1]])


def test_ground_without_an_image_is_ignored(tmp_path):
    scene(tmp_path / 'own')
    with rasterio.open(tmp_path / 'own' / 'scene.tif', 'r+') as raster:
        raster.nodata = 0
        raster.write(np.zeros((3, HEIGHT, 450), np.uint8), window=rasterio.windows.Window(450, 0, 450, HEIGHT))
    prepared = prepare(tmp_path / 'own' / 'scene.tif', tmp_path / 'out', 'segmentation', TILE)
    masks = [np.asarray(Image.open(path)) for path in (prepared.folder / 'masks').glob('*.png')]
    assert any((mask == 255).any() for mask in masks)


def test_tiles_without_any_image_are_left_out_and_counted(tmp_path):
    found = [one for one in ground.boxes(WIDTH, HEIGHT) if one[3] <= 384]
    ground.raster(tmp_path / 'own/scene.tif', WIDTH, HEIGHT, found)
    ground.vectors(tmp_path / 'own/roofs.gpkg', ground.polygons(found), [ground.KINDS[one[0]] for one in found])
    with rasterio.open(tmp_path / 'own/scene.tif', 'r+') as raster:
        raster.nodata = 0
        raster.write(np.zeros((3, HEIGHT, 500), np.uint8), window=rasterio.windows.Window(400, 0, 500, HEIGHT))
    prepared = prepare(tmp_path / 'own', tmp_path / 'out', 'segmentation', TILE)
    names = [name for split in ('train', 'val') for name in prepared.labels(split).read_text().split()]
    assert names and all(int(name[:-4].rsplit('_', 2)[1]) < 400 for name in names)
    assert any(note.startswith('tiles without any image (nodata), left out: ') for note in prepared.notes)


@pytest.mark.parametrize('kind, alpha', [('float32', False), ('float32', True), ('uint16', True), ('uint8', True)])
def test_ground_that_is_no_number_or_transparent_is_ignored(kind, alpha, tmp_path):
    own = tmp_path / 'own'
    scene(own)
    with rasterio.open(own / 'scene.tif') as raster:
        pixels, profile = raster.read().astype(kind), raster.profile
    seen = np.full((1, HEIGHT, WIDTH), 200, kind)
    seen[:, :, 450:] = 0
    if not alpha:
        pixels[:, :, 450:] = np.nan
    pixels = np.concatenate([pixels, seen]) if alpha else pixels
    profile.update(dtype=kind, count=len(pixels), photometric='rgb', **(dict(alpha='yes') if alpha else {}))
    with rasterio.open(own / 'scene.tif', 'w', **profile) as raster:
        raster.write(pixels)
    data = read(own)
    np.testing.assert_array_equal(blank(data.samples[0]), np.arange(WIDTH)[None].repeat(HEIGHT, 0) >= 450)


def test_folders_say_the_split_and_layers_the_classes(tmp_path):
    own = tmp_path / 'own'
    for split, left in (('train', ground.LEFT), ('val', ground.LEFT + 10_000)):
        found = ground.boxes(300, 300)
        ground.raster(own / split / 'scene.tif', 300, 300, found, left)
        shapes = ground.polygons(found, left)
        kinds = np.array([one[0] for one in found])
        for number, kind in enumerate(ground.KINDS):
            ground.vectors(own / split / 'labels.gpkg', shapes[kinds == number], None, layer=kind, append=bool(number))
    prepared = prepare(own, tmp_path / 'out', 'detection', TILE)
    assert prepared.classes == list(ground.KINDS)
    assert {name.split('/')[0] for name in windows(prepared, 'train')} == {'train'}
    assert {name.split('/')[0] for name in windows(prepared, 'val')} == {'val'}


def test_labels_elsewhere_are_said(tmp_path):
    found = ground.boxes(300, 300)
    ground.raster(tmp_path / 'own' / 'scene.tif', 300, 300, found)
    ground.vectors(tmp_path / 'own' / 'far.gpkg', ground.polygons(found, left=ground.LEFT + 9_000), None)
    with pytest.raises(ValueError, match=r'None of the polygons of .*far\.gpkg lies on .*scene\.tif'):
        prepare(tmp_path / 'own', tmp_path / 'out')


def test_rasters_of_16_bits_are_scaled_once_for_all(tmp_path):
    own = tmp_path / 'own'
    scene(own)
    with rasterio.open(own / 'scene.tif') as raster:
        pixels, profile = raster.read().astype(np.uint16) * 20 + 300, raster.profile
    profile.update(dtype='uint16', nodata=0)
    pixels[:, :50, :50] = 0
    with rasterio.open(own / 'scene.tif', 'w', **profile) as raster:
        raster.write(pixels)
    prepared = prepare(own, tmp_path / 'out', 'detection', TILE)
    low, high = prepared.levels
    assert 1000 < low < 1200 and high == 230 * 20 + 300
    assert any('have not 8 bits' in note for note in prepared.notes)
    tile = np.asarray(Image.open(next(prepared.images.glob('*.png'))))
    assert tile.dtype == np.uint8 and tile.max() == 255 and 20 < np.median(tile) < 60


@pytest.mark.parametrize('nothing', [None, '', ' '])
def test_polygons_without_a_class_are_left_out_and_counted(tmp_path, nothing):
    found = ground.boxes(300, 300)
    ground.raster(tmp_path / 'own' / 'scene.tif', 300, 300, found)
    names = [ground.KINDS[one[0]] for one in found]
    names[3] = nothing
    ground.vectors(tmp_path / 'own' / 'roofs.gpkg', ground.polygons(found), names)
    data = read(tmp_path / 'own')
    assert data.classes == list(ground.KINDS) and len(data.samples[0].objects) == len(found) - 1
    assert any('polygons with nothing in the column "class", left out: 1' in note for note in data.notes.lines())


def test_numbers_beside_empty_cells_and_blanks_are_the_same_classes(tmp_path):
    """A column of whole numbers with an empty cell comes as fractions."""
    found = ground.boxes(300, 300)
    ground.raster(tmp_path / 'own' / 'scene.tif', 300, 300, found)
    shapes = ground.polygons(found)
    numbers = [1 + one[0] for one in found]
    ground.vectors(tmp_path / 'own' / 'whole.gpkg', shapes, np.array(numbers))
    ground.vectors(tmp_path / 'own' / 'holes.gpkg', shapes, np.array([np.nan, *numbers[1:]]))
    ground.vectors(tmp_path / 'own' / 'text.gpkg', shapes, [f'{number} ' for number in numbers])
    data = read(tmp_path / 'own')
    assert data.classes == [str(number) for number in sorted(set(numbers))]
    assert len(data.samples[0].objects) == len(found), 'they are the same polygons'


def test_a_column_with_nothing_in_it_names_no_classes(tmp_path):
    found = ground.boxes(300, 300)
    ground.raster(tmp_path / 'own' / 'scene.tif', 300, 300, found)
    ground.vectors(tmp_path / 'own' / 'roofs.gpkg', ground.polygons(found), [None] * len(found))
    data = read(tmp_path / 'own')
    assert data.classes == ['roofs'] and len(data.samples[0].objects) == len(found)


def test_many_chips_stay_whole(tmp_path):
    own, shapes = tmp_path / 'own', []
    for i in range(6):
        found, left = ground.boxes(160, 160, seed=i), ground.LEFT + 1000 * i
        ground.raster(own / f'chip{i}.tif', 160, 160, found, left)
        shapes += ground.polygons(found, left).tolist()
    ground.vectors(own / 'roofs.gpkg', np.array(shapes), None)
    prepared = prepare(own, tmp_path / 'out', 'detection', 128)
    sizes = {
        split: {(x1 - x0, y1 - y0) for x0, y0, x1, y1 in windows(prepared, split).values()} for split in prepared.counts
    }
    assert sizes == dict(train={(160, 160)}, val={(160, 160)}) and sum(prepared.counts.values()) == 6
    assert np.asarray(Image.open(prepared.images / 'chip0_0_0.png')).shape == (160, 160, 3)
    assert not any('cut into' in note for note in prepared.notes)
    smaller = prepare(own, tmp_path / 'smaller', 'detection', 64)
    assert any('of up to 160 pixels: cut into' in note and 'tiles of 64' in note for note in smaller.notes)


@pytest.mark.parametrize('scenes', [4, 6])
def test_chips_of_one_scene_stay_together_or_it_is_said(tmp_path, scenes):
    own, shapes = tmp_path / 'own', []
    for i, x, y in product(range(scenes), (0, 160), (0, 160)):
        found, left = ground.boxes(160, 160, seed=i), ground.LEFT + 1000 * i + x + 2 * y
        ground.raster(own / f'scene{i}_{x}_{y}.tif', 160, 160, found, left)
        shapes += ground.polygons(found, left).tolist()
    ground.vectors(own / 'roofs.gpkg', np.array(shapes), None)
    prepared = prepare(own, tmp_path / 'out', 'detection', 160)
    train, val = ({name.split('_')[0] for name in windows(prepared, split)} for split in ('train', 'val'))
    assert bool(train & val) == (scenes < 5)
    assert any('tiles of one scene both train and validate' in note for note in prepared.notes) == (scenes < 5)


def test_empty_training_tiles_that_are_left_out_are_said(tmp_path):
    own = tmp_path / 'own'
    for split, left in (('train', ground.LEFT), ('val', ground.LEFT + 10_000)):
        found = ground.boxes(640, 640)[:3]
        ground.raster(own / split / 'scene.tif', 640, 640, found, left)
        ground.vectors(own / split / 'roofs.gpkg', ground.polygons(found, left), None)
    prepared = prepare(own, tmp_path / 'out', 'detection', 64)
    tiles = json.loads(prepared.labels('train').read_text())
    held = len({one['image_id'] for one in tiles['annotations']})
    kept = len(tiles['images']) - held
    said = f' training tiles without an object {kept} are kept, one for 4 of the {held} with objects'
    assert any(said in note for note in prepared.notes), prepared.notes
    assert prepared.counts['val'] == 100


@pytest.mark.parametrize('name, driver', [('mosaic.vrt', 'VRT'), ('scene.VRT', 'VRT'), ('old.img', 'HFA')])
def test_rasters_of_other_formats_are_left_out_or_to_be_converted(tmp_path, name, driver):
    """A mosaic shows the ground of the tiles beside it once more."""
    own = tmp_path / 'own'
    scene(own)
    alone = read(own)
    copy(own / 'scene.tif', own / name, driver=driver)
    data = read(own)
    assert [sample.name for sample in data.samples] == ['scene.tif'] and data.notes.lines()[:-1] == alone.notes.lines()
    assert data.notes.lines()[-1].startswith('rasters of formats that are not read, left out')
    assert data.notes.lines()[-1].endswith(f': 1 ({name})')
    assert sum(prepare(own, tmp_path / 'out', 'detection', TILE).counts.values()) > 2
    for source in (own / name, own):
        with pytest.raises(
            ValueError, match=rf'{name} is of a format that is not read. Make .*: gdal_translate {name} \w+\.tif'
        ):
            read(source)
        (own / 'scene.tif').unlink(missing_ok=True)


FAR = {
    'one': [(98.5, 3.5, 98.7, 3.6)],
    'many': [(lon, lat, lon + 1, lat + 1) for lon in range(-180, 180, 30) for lat in range(-90, 90, 15)],
}


@pytest.mark.parametrize('far', FAR)
@pytest.mark.parametrize('crs', ['EPSG:4326', 'EPSG:3857'])
def test_labels_all_over_the_world(far, crs, tmp_path):
    """Of some no way leads to the raster's reference system."""
    found = ground.boxes(300, 300)
    ground.raster(tmp_path / 'own' / 'scene.tif', 300, 300, found)
    shapes = [*ground.polygons(found, crs='EPSG:4326'), *(shapely.box(*box) for box in FAR[far])]
    shapes = shapely.transform(
        np.array(shapes), lambda p: np.array(transform('EPSG:4326', crs, *p.clip(-179, 179).T)).T
    )
    ground.vectors(tmp_path / 'own' / 'roofs.gpkg', shapes, ['roof'] * len(shapes), crs)
    boxes = [one.box for one in read(tmp_path / 'own').samples[0].objects]
    np.testing.assert_allclose(boxes, [one[1:] for one in found], atol=0.01)


def test_shapes_that_reach_from_a_raster_to_where_no_way_leads(tmp_path):
    """And a raster on both sides of the 180th meridian."""
    for name, crs, left, top in (('scene', 'EPSG:32633', 5e5, 5.3e6), ('date_line', 'EPSG:32601', 1.7e5, 6.1e6)):
        with rasterio.open(
            tmp_path / f'{name}.tif', 'w', driver='GTiff', width=400, height=300, count=3, dtype='uint8', crs=crs,
            transform=rasterio.transform.from_origin(left, top, 500, 500),
        ):  # fmt: skip
            pass
    land = np.array([shapely.box(-60, 0, 104, 70), shapely.box(-180, 0, -88, 70), shapely.box(170, 0, 180, 70)])
    ground.vectors(tmp_path / 'land.gpkg', land, ['land'] * 3, 'EPSG:4326')
    data = read(tmp_path)
    assert [sample.name for sample in data.samples] == ['date_line.tif', 'scene.tif']
    for sample in data.samples:
        assert sum(one.shape.area for one in sample.objects) == pytest.approx(400 * 300, rel=0.01)


@pytest.mark.parametrize('labels', [-170, 190])
def test_longitudes_beyond_180_are_those_below_0(labels, tmp_path):
    with rasterio.open(
        tmp_path / 'scene.tif', 'w', driver='GTiff', width=300, height=200, count=3, dtype='uint8', crs='EPSG:4326',
        transform=rasterio.transform.from_origin(189, 2, 0.01, 0.01),
    ):  # fmt: skip
        pass
    shapes = np.array([shapely.box(x, 1, x + 0.1, 1.1) for x in (labels, labels + 1, 50)])
    ground.vectors(tmp_path / 'roofs.gpkg', shapes, None, 'EPSG:4326')
    boxes = [one.box for one in read(tmp_path).samples[0].objects]
    np.testing.assert_allclose(boxes, [(100, 90, 110, 100), (200, 90, 210, 100)], atol=1e-6)


def test_a_reference_system_to_which_no_way_leads_is_said(tmp_path):
    found = ground.boxes(300, 300)
    ground.raster(tmp_path / 'scene.tif', 300, 300, found)
    with rasterio.open(tmp_path / 'scene.tif', 'r+') as raster:
        raster.crs = rasterio.crs.CRS.from_wkt('LOCAL_CS["yard",UNIT["metre",1]]')
    ground.vectors(tmp_path / 'roofs.gpkg', ground.polygons(found), None)
    with pytest.raises(
        ValueError, match=r'roofs.gpkg cannot be moved to the coordinate reference system of .*scene.tif'
    ):
        read(tmp_path)


def deep(path, bands: np.ndarray, nodata: float | None = None, alpha: bool = False):
    """A GeoTIFF of more than 8 bits."""
    count, height, width = bands.shape
    with rasterio.open(
        path, 'w', driver='GTiff', width=width, height=height, count=count, dtype=bands.dtype, nodata=nodata,
        photometric='rgb' if count > 2 else 'minisblack', alpha='yes' if alpha else 'no',
    ) as out:  # fmt: skip
        out.write(bands)
    return path


class TestLevels:
    @pytest.fixture(params=[True, False], ids=['rasterio', 'none'])
    def with_rasterio(self, request, monkeypatch):
        if not request.param:
            monkeypatch.setattr('mmest.pictures.decoders.rasterio', None)
        return request.param

    @pytest.mark.parametrize('kind', ['uint16', 'int16', 'float32', 'float64'])
    @pytest.mark.parametrize('count', [1, 3])
    def test_alpha_is_no_pixel(self, count, kind, with_rasterio, tmp_path):
        bands = np.random.default_rng(0).integers(300, 3000, (count, 64, 64)).astype(kind)
        without = find_levels([deep(tmp_path / 'without.tif', bands)])
        most = 32767 if kind == 'int16' else 65535
        seen = np.full((1, 64, 64), most, kind)
        seen[:, :9] = 0
        bands[:, :9] = 0
        shown = [deep(tmp_path / 'alpha.tif', np.concatenate([bands, seen]), alpha=True)]
        if count == 1 and not with_rasterio:
            with pytest.raises(UnusableImage, match='2 bands, which only rasterio reads'):
                find_levels(shown)
        else:
            np.testing.assert_allclose(find_levels(shown), without, rtol=0.03)

    @pytest.mark.parametrize(
        'kind, nothing, stated',
        [('uint16', 0, 0), ('int16', -9999, -9999), ('float32', -9999, -9999), ('float32', np.nan, None),
         ('float32', np.inf, None), ('float32', -3.4028234663852886e38, -3.4028234663852886e38)],
    )  # fmt: skip
    def test_what_is_no_data_does_not_count(self, kind, nothing, stated, with_rasterio, tmp_path):
        """In one band as in all."""
        bands = np.random.default_rng(0).integers(300, 3000, (3, 64, 64)).astype(kind)
        bands[:, :20], bands[1, :, :20] = nothing, nothing
        expected = np.percentile(bands[np.isfinite(bands) & (bands != nothing)], (1, 99))
        np.testing.assert_allclose(find_levels([deep(tmp_path / 'a.tif', bands, stated)]), expected)

    def test_blank_images_do_not_count_and_nothing_else_is_refused(self, with_rasterio, tmp_path):
        files = [deep(tmp_path / f'{i:03d}.tif', np.zeros((3, 8, 8), np.uint16), 0) for i in range(120)]
        with pytest.raises(UnusableImage, match='000.tif has no pixel with data, and so have all 120 images that have'):
            find_levels(files)
        deep(files[-2], np.arange(1, 193, dtype=np.uint16).reshape(3, 8, 8), 0)
        np.testing.assert_allclose(find_levels(files), np.percentile(np.arange(1, 193), (1, 99)))

    def test_images_of_8_bits_do_not_count(self, with_rasterio, tmp_path):
        one = deep(tmp_path / 'a.tif', np.full((3, 8, 8), 500, np.uint16))
        Image.new('RGB', (64, 64)).save(tmp_path / 'b.png')
        assert find_levels([tmp_path / 'b.png', one]) == (500, 501)
        assert find_levels([tmp_path / 'b.png']) is None

    @pytest.mark.parametrize('width, height', [(3000, 1300), (2000, 20)])
    def test_parts_of_large_images_stand_for_all(self, width, height, with_rasterio, tmp_path):
        slope = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint16)[None]
        low, high = find_levels([deep(tmp_path / 'a.tif', slope)])
        assert abs(low - np.percentile(slope, 1)) < 100 and abs(high - np.percentile(slope, 99)) < 100
