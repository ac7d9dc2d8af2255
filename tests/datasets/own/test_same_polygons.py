"""The same polygons in two vector files."""

import pytest

pytest.importorskip('rasterio', reason='rasterio is not installed (pip install mmest[geo])')
pytest.importorskip('pyogrio', reason='pyogrio is not installed (pip install mmest[geo])')

import ground
import shapely

from mmest.datasets.own.detect import read

FOUND = ground.boxes(260, 220)
KINDS = [ground.KINDS[one[0]] for one in FOUND]


@pytest.fixture
def own(tmp_path):
    """A raster with its polygons in a GeoPackage."""
    ground.raster(tmp_path / 'own' / 'scene.tif', 260, 220, FOUND)
    ground.vectors(tmp_path / 'own' / 'roofs.gpkg', ground.polygons(FOUND), KINDS)
    return tmp_path / 'own'


@pytest.mark.parametrize('name, crs', [('a.shp', ground.GROUND), ('b.geojson', 'EPSG:4326'), ('c.fgb', 'EPSG:3857')])
def test_an_export_beside_its_source_is_taken_once(name, crs, own):
    ground.vectors(own / name, ground.polygons(FOUND, crs=crs), KINDS, crs)
    data = read(own)
    assert len(data.samples[0].objects) == len(FOUND)
    names = (name, 'roofs.gpkg')
    said = f'polygons that another layer has too, left out: {len(FOUND)} ({max(names)}, as {min(names)}, '
    assert any(line.startswith(said) for line in data.notes.lines())


def test_what_one_file_has_more_stays(own):
    more = ground.polygons([(0, 5, 180, 25, 200)])
    ground.vectors(own / 'more.gpkg', [*ground.polygons(FOUND[:3]), *more], [*KINDS[:3], 'pool'])
    data = read(own)
    assert len(data.samples[0].objects) == len(FOUND) + 1
    assert any('another layer has too, left out: 3 (' in line for line in data.notes.lines())


def test_layers_of_one_file_are_compared_too(own):
    for layer in ('first', 'again'):
        ground.vectors(own / 'two.gpkg', ground.polygons(FOUND), KINDS, layer=layer, append=layer == 'again')
    (own / 'roofs.gpkg').unlink()
    data = read(own)
    assert len(data.samples[0].objects) == len(FOUND)
    said = f'left out: {len(FOUND)} (two.gpkg, layer again, as two.gpkg, layer first'
    assert any(said in line for line in data.notes.lines())


def test_neighbours_and_other_shapes_of_the_same_bounds_stay(own):
    beside = [(kind, x0 + 2, y0, x1 + 2, y1) for kind, x0, y0, x1, y1 in FOUND]
    halves = [shapely.Polygon(shape.exterior.coords[:3]) for shape in ground.polygons(FOUND)]  # along the diagonal
    ground.vectors(own / 'beside.gpkg', ground.polygons(beside), KINDS)
    ground.vectors(own / 'halves.gpkg', halves, KINDS)
    data = read(own)
    assert len(data.samples[0].objects) == 3 * len(FOUND)
    assert not any('polygons that' in line for line in data.notes.lines())


def test_the_same_polygons_as_another_class_stay_and_are_counted(own):
    ground.vectors(own / 'export.gpkg', ground.polygons(FOUND), None)
    data = read(own)
    assert data.classes == ['building', 'export', 'pool'] and len(data.samples[0].objects) == 2 * len(FOUND)
    said = f'the same one of another class (if a layer is there twice, leave one out): {len(FOUND)} (roofs.gpkg and'
    assert any(said in line for line in data.notes.lines())
