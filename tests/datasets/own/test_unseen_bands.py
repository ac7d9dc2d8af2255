"""Bands that are no colour of RGB are left out, and that is said."""

import numpy as np
import pytest
from PIL import Image

from mmest.datasets.own.detect import read
from mmest.pictures import ImageFile, decoders

rasterio = pytest.importorskip('rasterio')
UNSPECIFIED = dict(photometric='RGB', alpha='unspecified')


def tiff(path, bands, kind='uint8', **options):
    pixels = np.random.default_rng(0).integers(1, 200, (bands, 48, 64)).astype(kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, 'w', driver='GTiff', width=64, height=48, count=bands, dtype=kind, crs='EPSG:32632',
        transform=rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6), **options,
    ) as file:  # fmt: skip
        file.write(pixels)
    return path


@pytest.mark.parametrize(
    'bands, kind, options, unseen',
    [
        (1, 'uint8', {}, 0),
        (3, 'uint8', {}, 0),
        (4, 'uint8', UNSPECIFIED, 1),
        (4, 'uint8', dict(photometric='RGB', alpha='yes'), 0),
        (4, 'uint16', UNSPECIFIED, 1),
        (5, 'uint8', {}, 2),
        (6, 'uint16', dict(photometric='RGB', alpha='yes'), 2),
        (4, 'uint8', dict(photometric='CMYK'), 0),
    ],
)
@pytest.mark.parametrize('with_rasterio', [True, False])
def test_bands_behind_the_colours_are_counted(bands, kind, options, unseen, with_rasterio, tmp_path, monkeypatch):
    if not with_rasterio:
        if bands > 4:
            pytest.skip('which rasterio alone reads')
        monkeypatch.setattr(decoders, 'rasterio', None)
    with ImageFile(tiff(tmp_path / 'x.tif', bands, kind, **options), scale=(0, 1)) as image:
        assert image.unseen == unseen


def test_of_own_data_they_are_said(tmp_path):
    tiff(tmp_path / 'images/infrared.tif', 4, **UNSPECIFIED)
    tiff(tmp_path / 'images/many.tif', 8)
    tiff(tmp_path / 'images/alpha.tif', 4)
    tiff(tmp_path / 'images/colours.tif', 3)
    tiff(tmp_path / 'images/grey.tif', 1)
    Image.new('RGBA', (64, 48)).save(tmp_path / 'images/clear.png')
    (tmp_path / 'masks').mkdir()
    for image in (tmp_path / 'images').iterdir():
        Image.fromarray(np.eye(48, 64, dtype=np.uint8)).save(tmp_path / 'masks' / f'{image.stem}.png')
    said = [line for line in read(tmp_path).notes.lines() if 'band' in line]
    first, second = said
    assert first == (
        'images whose fourth band is read as alpha: where it is 0 there is no data (of infrared that is called so, '
        'choose it by --bands, or tell the file: gdal_edit.py -colorinterp_4 undefined FILE): 1 (alpha.tif)'
    )
    assert (
        second
        == 'images of which only the first three bands are taken, as RGB (others: --bands): 2 (infrared.tif, many.tif)'
    )


def test_images_that_bands_do_not_change_are_said(tmp_path):
    tiff(tmp_path / 'images/a.tif', 3)
    Image.new('RGB', (64, 48)).save(tmp_path / 'images/b.png')
    (tmp_path / 'masks').mkdir()
    for name in 'ab':
        Image.fromarray(np.eye(48, 64, dtype=np.uint8)).save(tmp_path / f'masks/{name}.png')
    said = 'images that are no TIFF or JPEG 2000: --bands leaves them as they are: 1 (b.png)'
    assert said in read(tmp_path, bands=(3, 2, 1)).notes.lines()
    assert not any('--bands' in line for line in read(tmp_path).notes.lines())
