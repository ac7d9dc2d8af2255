"""Several rasters in a folder: a mosaic beside its tiles, copies, and what each has to look at."""

from itertools import product
from pathlib import Path

import pytest

pytest.importorskip('rasterio', reason='rasterio is not installed (pip install mmest[geo])')
pytest.importorskip('pyogrio', reason='pyogrio is not installed (pip install mmest[geo])')

import ground
import rasterio
import rasterio.windows
import shapely
from rasterio.shutil import copy

from mmest.datasets.own import georaster
from mmest.datasets.own.detect import read
from mmest.datasets.own.prepare import prepare
from mmest.datasets.own.same_ground import Ground, without_mosaics
from mmest.datasets.own.sample import Notes, Sample, Thing
from mmest.datasets.own.splits import split

SIDE = 90  # of a tile
WIDTH, HEIGHT = 3 * SIDE, 2 * SIDE


def _tiles_of_ground(own, step: int = SIDE) -> list[ground.Box]:
    """Rasters side by side, some without an object, and a mosaic of them all."""
    found = [one for one in ground.boxes(WIDTH, HEIGHT) if one[2] // SIDE == one[4] // SIDE]
    ground.raster(own / 'all.tif', WIDTH, HEIGHT, found)
    with rasterio.open(own / 'all.tif') as whole:
        for x, y in product(range(0, WIDTH, step), range(0, HEIGHT, step)):
            window = rasterio.windows.Window(x, y, SIDE, SIDE)
            profile = dict(whole.profile, width=SIDE, height=SIDE, transform=whole.window_transform(window))
            with rasterio.open(own / f'x{x}y{y}.tif', 'w', **profile) as out:
                out.write(whole.read(window=window, boundless=True))
    right = [one for one in found if one[1] >= SIDE]  # none on the tiles at the left
    ground.vectors(own / 'roofs.gpkg', ground.polygons(right), [ground.KINDS[one[0]] for one in right])
    return right


def test_a_mosaic_beside_its_tiles_is_left_out(tmp_path):
    _tiles_of_ground(tmp_path / 'own')
    data = read(tmp_path / 'own')
    assert {sample.name for sample in data.samples} == {f'x{x}y{y}.tif' for x in (90, 180) for y in (0, 90)}
    said = data.notes.lines()
    assert 'mosaics of other rasters of the folder, left out: 1 (all.tif)' in said
    assert not any('same ground' in line for line in said)
    assert [sample.name for sample in read(tmp_path / 'own/all.tif').samples] == ['all.tif']


def test_a_mosaic_in_the_folder_of_a_split_is_as_the_folder_says(tmp_path):
    _tiles_of_ground(tmp_path / 'own')
    (tmp_path / 'own/train').mkdir()
    (tmp_path / 'own/all.tif').rename(tmp_path / 'own/train/all.tif')
    data = read(tmp_path / 'own')
    assert {sample.name: sample.split for sample in data.samples}['train/all.tif'] == 'train'
    assert any('mostly the same ground' in line and ': 4 (' in line for line in data.notes.lines())


def test_a_copy_is_said_and_tiles_that_overlap_by_half_are_not(tmp_path):
    own = tmp_path / 'own'
    _tiles_of_ground(own, step=45)
    (own / 'all.tif').unlink()
    assert not any('same ground' in line for line in read(own).notes.lines())
    copy(own / 'x90y0.tif', own / 'again.tif')
    data = read(own)
    said = next(line for line in data.notes.lines() if 'mostly the same ground' in line)
    assert said.endswith(': 1 (again.tif and x90y0.tif)') and 'again.tif' in {sample.name for sample in data.samples}


def test_of_many_rasters_each_looks_at_the_shapes_near_it_alone(tmp_path, monkeypatch):
    drawn = _tiles_of_ground(tmp_path / 'own')
    seen, moved = [], []
    polygons, move = georaster.polygons_of, georaster._Layer._moved
    monkeypatch.setattr(georaster, 'polygons_of', lambda shape: seen.append(shape) or polygons(shape))
    monkeypatch.setattr(georaster._Layer, '_moved', lambda *args: moved.append(args) or move(*args))
    on_tiles = sum(len(sample.objects) for sample in read(tmp_path / 'own').samples)
    assert on_tiles and len(seen) == on_tiles + len(drawn)  # those of the mosaic too
    (tmp_path / 'own/roofs.gpkg').unlink()
    shapes = ground.polygons(drawn, crs='EPSG:4326')
    ground.vectors(tmp_path / 'own/roofs.gpkg', shapes, [ground.KINDS[one[0]] for one in drawn], 'EPSG:4326')
    read(tmp_path / 'own')
    assert len(moved) == 1


def _strips(own, apart: list[int]) -> None:
    """Rasters from left to right, so many pixels from one's left side to that of the next, called a, b, c, ..."""
    left, shapes = ground.LEFT, []
    for name, step in zip('abcdefghijkl', [0, *apart]):
        left += step * ground.METRE
        found = ground.boxes(100, 100)
        ground.raster(own / f'{name}.tif', 100, 100, found, left)
        shapes += ground.polygons([one for one in found if one[1] < 40], left).tolist()
    ground.vectors(own / 'roofs.gpkg', shapes, None)


def _groups_and_splits(own) -> tuple[str, dict[str, str], list[str]]:
    """How it was split, the split of each raster, and the notes."""
    data = read(own)
    said = split(data)
    return said, {sample.name[0]: sample.split for sample in data.samples}, data.notes.lines()


@pytest.mark.parametrize('seed', range(3))
def test_rasters_that_overlap_are_on_one_side(seed, tmp_path):
    _strips(tmp_path, [80, 60, 400, 85, 400, 50, 400, 400])  # abc, de, fg, h, i
    data = read(tmp_path)
    said = split(data, seed)
    splits = {sample.name[0]: sample.split for sample in data.samples}
    assert splits['a'] == splits['b'] == splits['c'] and splits['d'] == splits['e'] and splits['f'] == splits['g']
    assert set(splits.values()) == {'train', 'val'}
    assert f'of 5 groups, rasters that overlap together) validate, chosen with seed {seed}' in said


def test_rasters_that_share_a_border_are_not_joined(tmp_path):
    _strips(tmp_path, [95, 100, 92, 100, 105])
    said, splits, _ = _groups_and_splits(tmp_path)
    assert len(splits) == 6 and '1 of 6 images (1 of 6 groups) validate' in said


def test_where_all_rasters_overlap_it_is_said(tmp_path):
    _strips(tmp_path, [60] * 7)
    said, splits, notes = _groups_and_splits(tmp_path)
    assert list(splits.values()).count('val') == 2 and '2 of 8 images (2 of 8 groups)' in said
    assert any(line.startswith('all 8 rasters overlap, each with the next, so scores are too good') for line in notes)


def test_where_few_rasters_are_split_by_blocks_it_is_said_that_they_overlap(tmp_path):
    _strips(tmp_path / 'own', [60, 400])
    prepared = prepare(tmp_path / 'own', tmp_path / 'out', 'detection', 32)
    assert sum('rasters overlap (a.tif, b.tif), and what validates on one may' in line for line in prepared.notes) == 1
    _strips(tmp_path / 'other', [400, 400])
    assert not any('overlap' in line for line in prepare(tmp_path / 'other', tmp_path / 'out2', size=32).notes)


@pytest.mark.parametrize('between, group', [([Thing(0, (1, 1, 9, 9))], 'a.tif'), ([], '')])
def test_a_small_raster_joins_those_that_it_overlaps_if_it_shows_an_object(between, group):
    """An eighth of it lies on each, and next to nothing of them."""
    places = {'a.tif': (0, 0, 90, 90), 'between.tif': (85, 0, 125, 40), 'c.tif': (120, 0, 210, 90)}
    objects = {'between.tif': between}
    samples = [
        Sample(Path(name), name, x1 - x0, y1 - y0, objects.get(name, [Thing(0, (1, 1, 9, 9))]))
        for name, (x0, y0, x1, y1) in places.items()
    ]
    without_mosaics([Ground(one, 'a plane', shapely.box(*places[one.name]), (1, 1)) for one in samples], Notes())
    assert [one.group for one in samples] == [group] * 3
