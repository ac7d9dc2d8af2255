"""Ground without an image, and a band that is taken for alpha."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('rasterio', reason='rasterio is not installed (pip install mmest[geo])')
pytest.importorskip('pyogrio', reason='pyogrio is not installed (pip install mmest[geo])')

import ground
import rasterio
from rasterio.enums import ColorInterp

from mmest.datasets.own.prepare import prepare

SIDE, TILE = 240, 64
FOUND = ground.boxes(SIDE, SIDE)
POOLS = [box for box in FOUND if box[0] == 1]


@pytest.fixture
def own(tmp_path):
    """Write a raster with a fourth band that is 0 on all pools, as near infrared is on water."""

    def write(colour: int = 60, kind: str = 'uint8', **profile):
        ground.raster(tmp_path / 'own' / 'scene.tif', SIDE, SIDE, FOUND)
        with rasterio.open(tmp_path / 'own' / 'scene.tif') as raster:
            bands, known = raster.read().astype(kind), {**raster.profile, **profile}
        infrared = np.full((1, SIDE, SIDE), 90, kind)
        for _, x0, y0, x1, y1 in POOLS:
            bands[:, y0:y1, x0:x1], infrared[:, y0:y1, x0:x1] = colour, 0
        known.update(count=4, dtype=kind)
        with rasterio.open(tmp_path / 'own' / 'scene.tif', 'w', **known) as raster:
            raster.write(np.concatenate([bands, infrared]))
        ground.vectors(tmp_path / 'own' / 'a.gpkg', ground.polygons(FOUND), [ground.KINDS[one[0]] for one in FOUND])
        return tmp_path / 'own'

    return write


def labelled(prepared) -> set[int]:
    """Values of all masks."""
    return {int(value) for path in (prepared.folder / 'masks').glob('*.png') for value in np.unique(Image.open(path))}


def test_infrared_that_is_read_as_alpha_takes_no_class_away(own, tmp_path):
    folder = own()
    said = (
        r'100% of the pixels of "pool" lie where band 4 of rasters such as .*scene.tif is 0, .* but other bands show '
        r'something there.*gdal_edit.py -colorinterp_4 undefined /.*scene.tif'
    )
    with pytest.raises(ValueError, match=said):
        prepare(folder, tmp_path / 'out', 'segmentation', TILE)
    with rasterio.open(folder / 'scene.tif', 'r+') as raster:
        raster.colorinterp = [*raster.colorinterp[:3], ColorInterp.undefined]
    prepared = prepare(folder, tmp_path / 'out', 'segmentation', TILE)
    assert labelled(prepared) == {0, 1, 2} and not any('alpha' in note for note in prepared.notes)


def test_more_bits_have_no_alpha_unless_the_file_says_so(own, tmp_path):
    assert labelled(prepare(own(kind='uint16'), tmp_path / 'none', 'segmentation', TILE)) == {0, 1, 2}
    with pytest.raises(ValueError, match='100% of the pixels of "pool" lie where band 4'):
        prepare(own(kind='uint16', photometric='rgb', alpha='yes'), tmp_path / 'out', 'segmentation', TILE)


@pytest.mark.parametrize('colour', [0, 6])
def test_labels_on_ground_that_is_truly_transparent_are_ignored_and_it_is_said(colour, own, tmp_path):
    prepared = prepare(own(colour), tmp_path / 'out', 'segmentation', TILE)
    assert labelled(prepared) == {0, 1, 255}
    assert '100% of the ground of "pool" is without an image (nodata), and is ignored' in prepared.notes


def test_a_class_that_loses_a_little_is_not_named(own, tmp_path):
    folder = own()
    with rasterio.open(folder / 'scene.tif', 'r+') as raster:
        alpha = raster.read(4)
        alpha[:, : SIDE * 2 // 3] = 90  # a third of the pools stays
        raster.write(alpha, 4)
    prepared = prepare(folder, tmp_path / 'out', 'segmentation', 2 * SIDE)
    assert labelled(prepared) == {0, 1, 2, 255} and not any('"pool"' in note for note in prepared.notes)


@pytest.mark.parametrize('nodata', [0, None])
def test_masks_ignore_what_their_image_states_as_no_data(nodata, tmp_path):
    """As prediction leaves it out; without a stated value, black is an image too."""
    for folder in ('images', 'masks'):
        (tmp_path / 'own' / folder).mkdir(parents=True)
    for number in range(4):
        pixels = np.full((3, 48, 64), 80, np.uint8)
        pixels[:, :, :20] = 0
        pixels[0, :, :10] = 9 * (number == 3)  # one band alone is not no data
        with rasterio.open(
            tmp_path / 'own' / 'images' / f'{number}.tif', 'w', driver='GTiff', width=64, height=48, count=3,
            dtype='uint8', nodata=nodata,
        ) as image:  # fmt: skip
            image.write(pixels)
        Image.fromarray(np.eye(48, 64, dtype=np.uint8)).save(tmp_path / 'own' / 'masks' / f'{number}.png')
    prepared = prepare(tmp_path / 'own', tmp_path / 'out')
    for number in range(4):
        expected = np.eye(48, 64, dtype=np.uint8)
        if nodata is not None:
            expected[:, 10 * (number == 3) : 20] = 255
        (path,) = (tmp_path / 'out' / 'masks').rglob(f'{number}.tif.png')
        np.testing.assert_array_equal(np.asarray(Image.open(path)), expected)
    said = 'images with labels on ground without data (nodata), which is ignored: 4 ('
    assert any(said in note for note in prepared.notes) == (nodata is not None)
