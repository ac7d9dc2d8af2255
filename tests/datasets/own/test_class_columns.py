"""Which column of a vector file names the classes of its polygons."""

import numpy as np
import pytest

pytest.importorskip('rasterio', reason='rasterio is not installed (pip install mmest[geo])')
pytest.importorskip('pyogrio', reason='pyogrio is not installed (pip install mmest[geo])')

import ground
import pyogrio
import shapely

from mmest.datasets.own.detect import read

FOUND = ground.boxes(220, 260)
COUNT = 20
assert len(FOUND) >= COUNT
FEW = ['Town Hall', 'School', *[None] * (COUNT - 2)]
NEARLY_ALL = ['house'] * 11 + ['barn'] * 7 + [None] * 2


@pytest.fixture
def classes_of(tmp_path):
    """Classes of the objects and the note about them, where a file of 20 polygons has these columns."""

    def of(lines: int = 0, **columns):
        shapes = ground.polygons(FOUND[:COUNT]).tolist()
        ground.raster(tmp_path / 'own' / 'scene.tif', 220, 260, FOUND)
        wkb = [shapely.to_wkb(shape) for shape in [*shapes, *(shape.exterior for shape in shapes[:lines])]]
        cells = [np.array([*values, *[None] * lines], object) for values in columns.values()]
        file = tmp_path / 'own' / 'roofs.gpkg'
        pyogrio.raw.write(file, np.array(wkb), cells, list(columns), geometry_type='Unknown', crs=ground.GROUND)
        data = read(tmp_path / 'own')
        said = next(line for line in data.notes.lines() if 'class' in line)
        return [data.classes[one.label] for one in data.samples[0].objects], said

    return of


@pytest.mark.parametrize('column', ['type', 'kind', 'name', 'NAME'])
def test_a_column_that_few_polygons_have_names_no_classes(classes_of, column):
    found, said = classes_of(**{column: FEW})
    assert found == ['roofs'] * COUNT
    assert said == f'roofs.gpkg is one class: roofs ("{column}" is filled for 2 of 20 polygons only)'


@pytest.mark.parametrize('column', ['class', 'label', 'Klasse'])
def test_a_column_that_says_that_it_names_classes_does(classes_of, column):
    found, said = classes_of(**{column: FEW})
    assert sorted(found) == ['School', 'Town Hall'] and said == f'classes from the column "{column}" of roofs.gpkg'


@pytest.mark.parametrize('column', ['type', 'kind', 'name'])
def test_a_column_that_nearly_all_polygons_have_names_classes(classes_of, column):
    """Lines, which are left out, do not count."""
    found, said = classes_of(lines=9, **{column: NEARLY_ALL})
    assert sorted(found) == ['barn'] * 7 + ['house'] * 11
    assert said == f'classes from the column "{column}" of roofs.gpkg'


def test_names_of_single_houses_are_no_classes(classes_of):
    names = [f'house {i}' for i in range(COUNT - 4)] + ['garage'] * 4
    found, said = classes_of(name=names)
    assert found == ['roofs'] * COUNT
    assert said == 'roofs.gpkg is one class: roofs ("name" has 17 values for 20 polygons)'


def test_the_next_column_is_looked_at_where_one_is_passed_over(classes_of):
    found, said = classes_of(type=FEW, kind=NEARLY_ALL)
    assert len(found) == 18
    assert said == 'classes from the column "kind" of roofs.gpkg ("type" is filled for 2 of 20 polygons only)'
