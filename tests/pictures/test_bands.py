"""Bands that a user chooses are what is shown, whatever decodes the file."""

import warnings

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmest.pictures import ImageFile, UnusableImage, decoders
from mmest.pictures.reading import reading_of
from mmest.pictures.transforms import LoadImage, use_reader

rasterio = pytest.importorskip('rasterio')
SIDE = 24


def tiff(path, count, kind='uint8', zero_last=False, driver='GTiff', **options):
    """A file of that many bands; returns its numbers, H×W×count."""
    numbers = np.random.default_rng(count).integers(1, 200, (count, SIDE, SIDE)).astype(kind)
    if zero_last:
        numbers[-1, : SIDE // 2] = 0
    with rasterio.open(
        path, 'w', driver=driver, width=SIDE, height=SIDE, count=count, dtype=kind, crs='EPSG:32632',
        transform=rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6), **options,
    ) as file:  # fmt: skip
        file.write(numbers)
    return numbers.transpose(1, 2, 0)


@pytest.fixture(params=[True, False], ids=['rasterio', 'opencv'])
def with_rasterio(request, monkeypatch):
    if not request.param:
        monkeypatch.setattr(decoders, 'rasterio', None)
    return request.param


@pytest.mark.parametrize('kind, scale', [('uint8', None), ('uint16', (0, 255))])
@pytest.mark.parametrize('count', [1, 3, 4])
@pytest.mark.parametrize('bands', [(3, 2, 1), (4, 1, 2), (1, 1, 1), (2,), (1,), [4]])
def test_chosen_bands_are_red_green_and_blue(count, kind, scale, bands, with_rasterio, tmp_path):
    options = {1: {}, 3: dict(photometric='RGB'), 4: dict(photometric='RGB', alpha='unspecified')}[count]
    numbers = tiff(tmp_path / 'x.tif', count, kind, **options)
    if max(bands) > count:
        with pytest.raises(UnusableImage, match=rf'x.tif has {count} bands?, but band {max(bands)} is asked for'):
            ImageFile(tmp_path / 'x.tif', scale=scale, bands=bands)
        return
    expected = np.broadcast_to(numbers[..., [band - 1 for band in bands]], (SIDE, SIDE, 3))
    with ImageFile(tmp_path / 'x.tif', scale=scale, bands=bands) as image:
        np.testing.assert_array_equal(image.read(), expected)
        np.testing.assert_array_equal(image.read((3, 5, 20, 11)), expected[5:11, 3:20])
        assert image.unseen == 0


@pytest.mark.parametrize('bands', [(12, 8, 4), (9,)])
def test_of_many_bands_any_may_be_chosen(bands, tmp_path):
    numbers = tiff(tmp_path / 'x.tif', 13, 'int16')
    with ImageFile(tmp_path / 'x.tif', scale=(0, 255), bands=bands) as image:
        assert (image.read() == numbers[..., [band - 1 for band in bands]]).all()


def test_two_bands_are_refused_unless_one_is_chosen(with_rasterio, tmp_path):
    numbers = tiff(tmp_path / 'x.tif', 2, 'uint16')
    with pytest.raises(UnusableImage, match='has two bands; .*by image_bands in the config of a training, or by'):
        ImageFile(tmp_path / 'x.tif', scale=(0, 255))
    if with_rasterio:
        with ImageFile(tmp_path / 'x.tif', scale=(0, 255), bands=(2,)) as image:
            assert (image.read() == numbers[..., 1:]).all()


@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'float32'])
def test_infrared_that_is_called_alpha_is_data_where_it_is_chosen(kind, with_rasterio, tmp_path):
    numbers = tiff(tmp_path / 'x.tif', 4, kind, zero_last=True, photometric='RGB', alpha='yes')
    scale = None if kind == 'uint8' else (0, 255)
    with ImageFile(tmp_path / 'x.tif', scale=scale, bands=(4, 1, 2)) as image:
        assert not image.alpha and image.valid() is None
        np.testing.assert_array_equal(image.read(), numbers[..., [3, 0, 1]])
    with ImageFile(tmp_path / 'x.tif', scale=scale, bands=(3, 2, 1)) as image:
        assert image.alpha
        np.testing.assert_array_equal(image.valid(), numbers[..., 3] > 0)


def test_infrared_as_data_keeps_the_number_without_data(with_rasterio, tmp_path):
    numbers = tiff(tmp_path / 'x.tif', 4, 'uint16', zero_last=True, photometric='RGB', alpha='yes', nodata=0)
    with warnings.catch_warnings(), ImageFile(tmp_path / 'x.tif', scale=(0, 255), bands=(4,)) as image:
        warnings.simplefilter('error')
        np.testing.assert_array_equal(image.valid(), numbers[..., 3] != 0)


@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'float32'])
@pytest.mark.parametrize('bands', [None, (3, 2, 1), (4, 3, 2), (4,)])
def test_no_data_is_where_no_band_that_is_shown_has_any(bands, kind, with_rasterio, tmp_path):
    tiff(tmp_path / 'x.tif', 4, kind, nodata=0, photometric='RGB', alpha='unspecified')
    with rasterio.open(tmp_path / 'x.tif', 'r+') as file:
        numbers = file.read()
        numbers[:3, 0, 0] = numbers[3, 1, 1] = numbers[:, 2, 2] = 0
        file.write(numbers)
    shown = numbers[[band - 1 for band in bands or (1, 2, 3)]]
    with ImageFile(tmp_path / 'x.tif', scale=(0, 255), bands=bands) as image:
        np.testing.assert_array_equal(image.valid(), shown.any(0))
        np.testing.assert_array_equal(image.valid((1, 1, 9, 7)), shown.any(0)[1:7, 1:9])


def test_what_is_no_number_in_one_band_and_nodata_in_another_is_no_data(with_rasterio, tmp_path):
    tiff(tmp_path / 'x.tif', 3, 'float32', nodata=-9999, photometric='RGB')
    with rasterio.open(tmp_path / 'x.tif', 'r+') as file:
        numbers = file.read()
        numbers[:, 0, 0], numbers[:, 1, 1] = (-9999, np.nan, -9999), (-9999, np.nan, 5)
        file.write(numbers)
    with ImageFile(tmp_path / 'x.tif', scale=(0, 255)) as image:
        assert np.argwhere(~image.valid()).tolist() == [[0, 0]]


@pytest.mark.parametrize('internal', [True, False], ids=['internal', 'msk'])
@pytest.mark.parametrize('bands', [None, (3, 2, 1), (4, 1, 2)])
def test_a_mask_of_the_file_holds_for_all_bands(bands, internal, tmp_path):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=internal):
        tiff(tmp_path / 'x.tif', 4, zero_last=True, photometric='RGB', alpha='yes')
        mask = np.full((SIDE, SIDE), 255, np.uint8)
        mask[3, 5] = 0
        with rasterio.open(tmp_path / 'x.tif', 'r+') as file:
            file.write_mask(mask)
    assert (tmp_path / 'x.tif.msk').is_file() is not internal
    with ImageFile(tmp_path / 'x.tif', bands=bands) as image:
        np.testing.assert_array_equal(image.valid(), mask > 0)


def test_jpeg_2000_has_bands_too(tmp_path, monkeypatch):
    numbers = tiff(tmp_path / 'x.jp2', 3, driver='JP2OpenJPEG', QUALITY=100, REVERSIBLE='YES')
    with ImageFile(tmp_path / 'x.jp2', bands=(3, 1, 1)) as image:
        np.testing.assert_array_equal(image.read(), numbers[..., [2, 0, 0]])
    monkeypatch.setattr(decoders, 'rasterio', None)
    with pytest.raises(UnusableImage, match='whose bands only rasterio tells apart'):
        ImageFile(tmp_path / 'x.jp2', bands=(3, 1, 1))


@pytest.mark.parametrize('bands', [1, 2, 3, 4, 5])
def test_jpeg_2000_of_bands_that_are_no_colours_is_never_grey(bands, tmp_path, monkeypatch):
    """As GDAL writes them; OpenCV would show the first of three."""
    numbers = tiff(tmp_path / 'x.jp2', bands, driver='JP2OpenJPEG', QUALITY=100, REVERSIBLE='YES')
    if bands != 2:
        with ImageFile(tmp_path / 'x.jp2') as image:
            np.testing.assert_array_equal(image.read(), numbers[..., :3] if bands > 2 else numbers.repeat(3, 2))
    monkeypatch.setattr(decoders, 'rasterio', None)
    if bands == 1:
        np.testing.assert_array_equal(ImageFile(tmp_path / 'x.jp2').read(), numbers.repeat(3, 2))
    else:
        for source in (tmp_path / 'x.jp2', (tmp_path / 'x.jp2').read_bytes()):
            with pytest.raises(UnusableImage, match='bands only rasterio tells apart: pip install rasterio'):
                ImageFile(source)


@pytest.mark.parametrize('ending', ['jp2', 'j2k'])
@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA'])
def test_jpeg_2000_of_colours_is_read_without_rasterio(mode, ending, tmp_path, monkeypatch):
    colours = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    written = Image.fromarray(colours).convert(mode)
    written.save(tmp_path / f'x.{ending}')
    monkeypatch.setattr(decoders, 'rasterio', None)
    with ImageFile(tmp_path / f'x.{ending}') as image:
        np.testing.assert_array_equal(image.read(), written.convert('RGB'))


@pytest.mark.parametrize('name', ['x.png', 'x.bmp', 'palette.tif', 'palette.png'])
def test_formats_that_say_what_is_red_stay_as_they_are(name, with_rasterio, tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8))
    (image.quantize(9) if 'palette' in name else image).save(tmp_path / name)
    with ImageFile(tmp_path / name) as plain, ImageFile(tmp_path / name, bands=(3, 2, 1)) as chosen:
        np.testing.assert_array_equal(plain.read(), chosen.read())


@pytest.mark.parametrize('bands', [(), (1, 2), (0, 1, 2), (1, 2, 3, 4), (1.5, 2, 3), 'red', '321', (True, 1, 2), 0])
def test_what_is_no_choice_is_refused(bands, tmp_path):
    tiff(tmp_path / 'x.tif', 3)
    with pytest.raises(ValueError, match='three numbers from 1 on'):
        ImageFile(tmp_path / 'x.tif', bands=bands)
    with pytest.raises(ValueError, match='three numbers from 1 on'):
        LoadImage(bands=bands)


def test_a_config_states_them_for_its_loaders(tmp_path):
    numbers = tiff(tmp_path / 'x.tif', 4)
    cfg = Config(dict(image_bands=(3, 2, 1), loader=dict(pipeline=[dict(type='LoadImageFromFile')])))
    use_reader(cfg.loader, False, **reading_of(cfg))
    step = dict(cfg.loader.pipeline[0])
    assert step.pop('type') == 'LoadImage'
    found = LoadImage(**step)(dict(img_path=str(tmp_path / 'x.tif')))
    np.testing.assert_array_equal(found['img'], numbers[..., :3])  # BGR of what is blue, green, red in the file
