"""Files of every kind give the pixels that are in them, whole and by windows, with and without rasterio."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from mmest.pictures import ImageFile, UnusableImage
from mmest.pictures.levels import to_8_bits
from mmest.pictures.transforms import LoadImage

RGB = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
GREY = np.repeat(RGB[..., :1], 3, 2)
DEEP = RGB.astype(np.uint16) * 12  # 0 to 3060
SCALE = (0, 3060)
PALETTE = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)


def pil(path, pixels, mode=None, **options):
    image = (
        Image.fromarray(pixels) if mode in (None, 'LA', 'RGBA') else Image.frombytes(mode, pixels.shape[1::-1], pixels)
    )
    if mode == 'P':
        image.putpalette(PALETTE.tobytes())
    image.save(path, **options)


def opencv(path, pixels):
    assert cv2.imwrite(str(path), pixels[..., ::-1] if pixels.shape[-1] == 3 else pixels)


def geotiff(path, pixels, palette=None, late=False, **options):
    """A file of GDAL; ``late``: the palette is stated behind the pixels, and the header calls them grey levels."""
    rasterio = pytest.importorskip('rasterio')
    bands = np.atleast_3d(pixels).transpose(2, 0, 1)
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        height=bands.shape[1],
        width=bands.shape[2],
        count=len(bands),
        dtype=bands.dtype,
        **options,
    ) as target:
        if late:
            target.write(bands)
        if palette is not None:
            target.write_colormap(1, {index: tuple(map(int, colour)) for index, colour in enumerate(palette)})
        if not late:
            target.write(bands)


def exif(orientation):
    tags = Image.Exif()
    tags[274] = orientation
    return tags


def cmyk(pixels):
    """What the four inks give, as printers reckon: white less ink less black."""
    return np.asarray(Image.frombytes('CMYK', pixels.shape[1::-1], np.ascontiguousarray(pixels)).convert('RGB'))


FOUR = np.dstack([RGB, RGB[::-1, :, 0]])
# name: (how it is written, what is seen, the scale, whether only rasterio reads it)
KINDS = {
    'rgb.png': (lambda p: pil(p, RGB), RGB, None, False),
    'grey.png': (lambda p: pil(p, RGB[..., 0].copy()), GREY, None, False),
    'alpha.png': (lambda p: pil(p, FOUR), RGB, None, False),
    'palette.png': (lambda p: pil(p, RGB[..., 0].copy(), 'P'), PALETTE[RGB[..., 0]], None, False),
    'bits.png': (lambda p: Image.fromarray(RGB[..., 0] > 99).save(p), (GREY > 99) * np.uint8(255), None, False),
    'deep.png': (lambda p: opencv(p, DEEP), RGB, SCALE, False),
    'deep_grey.png': (lambda p: opencv(p, DEEP[..., 0]), GREY, SCALE, False),
    'deep_alpha.png': (lambda p: opencv(p, np.dstack([DEEP[..., ::-1], DEEP[..., 0]])), RGB, SCALE, False),
    'plain.bmp': (lambda p: pil(p, RGB), RGB, None, False),
    'lossless.webp': (lambda p: pil(p, RGB, lossless=True), RGB, None, False),
    'rgb.ppm': (lambda p: opencv(p, RGB), RGB, None, False),
    'deep.ppm': (lambda p: opencv(p, DEEP), RGB, SCALE, False),
    'turned.png': (lambda p: pil(p, np.rot90(RGB).copy(), exif=exif(6)), RGB, None, False),
    'mirrored.tif': (lambda p: pil(p, RGB[:, ::-1].copy(), exif=exif(2)), RGB, None, False),
    'turned.tif': (lambda p: pil(p, np.rot90(RGB, -1).copy(), exif=exif(8)), RGB, None, False),
    'grey.tif': (lambda p: geotiff(p, RGB[..., 0]), GREY, None, False),
    'rgb.tif': (lambda p: geotiff(p, RGB), RGB, None, False),
    'lzw.tif': (lambda p: geotiff(p, RGB, compress='lzw', predictor=2), RGB, None, False),
    'planes.tif': (lambda p: geotiff(p, RGB, interleave='band'), RGB, None, False),
    'tiles.tif': (lambda p: geotiff(p, RGB, tiled=True, blockxsize=16, blockysize=16), RGB, None, False),
    'big.tif': (lambda p: geotiff(p, RGB, BIGTIFF='YES'), RGB, None, False),
    'alpha.tif': (lambda p: geotiff(p, FOUR, photometric='RGB', alpha='yes'), RGB, None, False),
    'infrared.tif': (lambda p: geotiff(p, FOUR, photometric='RGB', alpha='unspecified'), RGB, None, False),
    'grey_alpha.tif': (lambda p: geotiff(p, RGB[..., :2], alpha='yes'), GREY, None, False),
    'no_colours.tif': (lambda p: geotiff(p, RGB, photometric='minisblack'), RGB, None, True),
    'five.tif': (lambda p: geotiff(p, np.dstack([RGB, RGB[..., :2]])), RGB, None, True),
    'five_deep.tif': (lambda p: geotiff(p, np.dstack([DEEP, DEEP[..., :2]])), RGB, SCALE, True),
    'white_is_zero.tif': (lambda p: geotiff(p, 255 - RGB[..., 0], photometric='miniswhite'), GREY, None, False),
    'nibbles.tif': (lambda p: geotiff(p, RGB[..., 0] // 16, nbits=4), GREY // 16 * 17, None, False),
    'palette.tif': (lambda p: pil(p, RGB[..., 0].copy(), 'P'), PALETTE[RGB[..., 0]], None, False),
    'late_palette.tif': (lambda p: geotiff(p, RGB[..., 0], PALETTE, late=True), PALETTE[RGB[..., 0]], None, True),
    'cmyk.tif': (lambda p: pil(p, FOUR, 'CMYK'), cmyk(FOUR), None, False),
    'deep.tif': (lambda p: geotiff(p, DEEP, photometric='RGB'), RGB, SCALE, False),
    'deep_grey.tif': (lambda p: geotiff(p, DEEP[..., 0]), GREY, SCALE, False),
    'signed.tif': (lambda p: geotiff(p, DEEP[..., 0].astype(np.int16) - 900), GREY, (-900, 2160), False),
    'float.tif': (lambda p: geotiff(p, DEEP[..., 0].astype(np.float32) / 3060), GREY, (0, 1), False),
    'float_rgb.tif': (lambda p: geotiff(p, DEEP.astype(np.float64) / 3060, photometric='RGB'), RGB, (0, 1), False),
}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('kinds')


@pytest.mark.parametrize('with_rasterio', [True, False])
@pytest.mark.parametrize('name', KINDS)
def test_every_kind_gives_its_pixels(name, with_rasterio, folder, monkeypatch):
    write, expected, scale, needs_rasterio = KINDS[name]
    path = folder / name
    if not path.exists():
        write(path)
    if with_rasterio:
        pytest.importorskip('rasterio')
    else:
        monkeypatch.setattr('mmest.pictures.decoders.rasterio', None)
    if needs_rasterio and not with_rasterio:
        with (
            pytest.raises(UnusableImage, match=f'{name} .*pip install rasterio'),
            ImageFile(path, scale=scale) as image,
        ):
            image.read()
        return
    for source in (path, path.read_bytes()):
        with ImageFile(source, scale=scale) as image:
            assert image.size == (56, 40) and image.alpha == (name == 'alpha.tif')
            assert np.array_equal(image.read((5, 7, 33, 22)), expected[7:22, 5:33])
            assert np.array_equal(image.read(), expected) and image.read().flags.c_contiguous
    loaded = LoadImage(scale)(dict(img_path=str(path)))
    assert np.array_equal(loaded['img'], expected[..., ::-1]) and loaded['img'].flags.c_contiguous
    assert loaded['img_shape'] == loaded['ori_shape'] == (40, 56)
    if scale:
        with pytest.raises(UnusableImage, match=rf'{name} has pixels of the kind .*image_scale = \(LOW, HIGH\)'):
            LoadImage()(dict(img_path=str(path)))


def test_jpeg_is_what_mmcv_loads_turned_as_it_says(tmp_path):
    loading = pytest.importorskip('mmcv.transforms')
    for quality, orientation in ((95, 1), (60, 3), (80, 6)):
        pil(tmp_path / 'x.jpg', cv2.GaussianBlur(RGB, (9, 9), 3), quality=quality, exif=exif(orientation))
        expected = loading.LoadImageFromFile()(dict(img_path=str(tmp_path / 'x.jpg')))
        found = LoadImage()(dict(img_path=str(tmp_path / 'x.jpg')))
        assert np.array_equal(expected.pop('img'), found.pop('img')) and expected == found


@pytest.mark.parametrize('with_rasterio', [True, False])
def test_where_there_is_no_data(tmp_path, with_rasterio, monkeypatch):
    hole = RGB.copy().clip(1)
    hole[:, 40:] = 0
    hole[3, 3] = 0, 9, 9  # one black band is no lack of data
    alpha = np.dstack([hole, np.full(hole.shape[:2], 255, np.uint8)])
    alpha[:, 40:, 3] = 0
    numbers = hole.astype(np.float32)
    numbers[:, 40:] = np.nan
    geotiff(tmp_path / 'nodata.tif', hole, nodata=0)
    geotiff(tmp_path / 'alpha.tif', alpha, photometric='RGB', alpha='yes')
    geotiff(tmp_path / 'nan.tif', numbers, photometric='RGB')
    geotiff(tmp_path / 'nan_stated.tif', numbers, photometric='RGB', nodata=np.nan)
    pil(tmp_path / 'alpha.png', alpha)
    indices = (hole[..., 0] > 0).astype(np.uint8)
    pil(
        tmp_path / 'palette.png',
        np.where(np.arange(56) < 40, 1, 0).astype(np.uint8) * np.ones_like(indices),
        'P',
        transparency=0,
    )
    if not with_rasterio:
        monkeypatch.setattr('mmest.pictures.decoders.rasterio', None)
    expected = np.broadcast_to(np.arange(56) < 40, (40, 56))
    for name in ('nodata.tif', 'alpha.tif', 'nan.tif', 'nan_stated.tif', 'alpha.png', 'palette.png'):
        with ImageFile(tmp_path / name, scale=(0, 255)) as image:
            assert np.array_equal(image.valid(), expected), name
            assert np.array_equal(image.valid((30, 5, 50, 9)), expected[5:9, 30:50]), name
            assert image.valid((0, 0, 40, 40)) is None
            assert name == 'palette.png' or (image.read()[:, :40] == hole[:, :40]).all()


def test_each_band_may_have_a_scale_of_its_own(tmp_path):
    opencv(tmp_path / 'deep.png', DEEP)
    scales = ((0, 3060), (1020, 3060), [0, 1530])
    with ImageFile(tmp_path / 'deep.png', scale=scales) as image:
        for band, scale in enumerate(scales):
            with ImageFile(tmp_path / 'deep.png', scale=scale) as alone:
                np.testing.assert_array_equal(image.read()[..., band], alone.read()[..., band])


@pytest.mark.parametrize('with_rasterio', [True, False])
@pytest.mark.parametrize(
    'pixels, options, nodata',
    [
        (RGB[..., 0], dict(palette=np.vstack([[[7, 7, 7]], PALETTE[1:]])), 7),
        (RGB[..., 0] // 16, dict(palette=np.vstack([[[15, 15, 15]], PALETTE[1:16]]), nbits=4), 15),
        (RGB[..., 0] // 16, dict(nbits=4), 15),
        (RGB[..., 0] // 128, dict(nbits=1), 1),
        (RGB[..., 0], dict(photometric='miniswhite'), 255),
        (RGB[..., 0], {}, 255),
    ],
)
def test_no_data_is_a_value_of_the_file_not_a_colour(tmp_path, pixels, options, nodata, with_rasterio, monkeypatch):
    """Of the palettes the first colour has the number of the index that stands for no data."""
    hole = pixels.copy()
    hole[:5] = nodata
    geotiff(tmp_path / 'x.tif', hole, nodata=nodata, **options)
    if not with_rasterio:
        monkeypatch.setattr('mmest.pictures.decoders.rasterio', None)
    with ImageFile(tmp_path / 'x.tif') as image:
        assert np.array_equal(image.valid(), hole != nodata)


def png_that_states(width, height):
    def chunk(kind, content):
        body = kind + content
        return struct.pack('>I', len(content)) + body + struct.pack('>I', zlib.crc32(body))

    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return (
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', zlib.compress(b'\0' * 99)) + chunk(b'IEND', b'')
    )


def test_what_is_too_large_is_refused_by_its_header(tmp_path, monkeypatch):
    (tmp_path / 'bomb.png').write_bytes(png_that_states(60000, 60000))
    with pytest.raises(UnusableImage, match=r'bomb.png states 60000×60000 pixels .* MMEST_MAX_PIXELS'):
        ImageFile(tmp_path / 'bomb.png')
    pil(tmp_path / 'small.png', RGB)
    monkeypatch.setenv('MMEST_MAX_PIXELS', '2000')
    with pytest.raises(UnusableImage, match='small.png states 56×40 pixels .* more than the 2,000'):
        ImageFile(tmp_path / 'small.png')
    monkeypatch.setenv('MMEST_MAX_PIXELS', 'many')
    with pytest.raises(UnusableImage, match='MMEST_MAX_PIXELS should be a number of pixels, but it is "many"'):
        ImageFile(tmp_path / 'small.png')


@pytest.mark.parametrize('name', ['a.png', 'a.tif'])
def test_the_limit_of_pil_does_not_count(name, tmp_path, monkeypatch):
    """Of opening, decoding and cutting."""
    monkeypatch.setattr('mmest.pictures.decoders.rasterio', None)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    pixels = np.dstack([RGB, np.full(RGB.shape[:2], 9, np.uint8)])
    Image.fromarray(pixels).save(tmp_path / name)
    with ImageFile(tmp_path / name) as image:
        assert np.array_equal(image.read(), RGB) and np.array_equal(image.read((0, 0, 40, 30)), RGB[:30, :40])
        assert image.valid() is None and image.valid((0, 0, 40, 30)) is None


def test_a_raster_of_any_size_by_windows_but_not_as_a_whole(tmp_path):
    rasterio = pytest.importorskip('rasterio')
    options = dict(driver='GTiff', height=40000, width=40000, count=3, dtype='uint8', SPARSE_OK=True)
    with rasterio.open(tmp_path / 'tiles.tif', 'w', tiled=True, compress='deflate', **options):
        pass
    with ImageFile(tmp_path / 'tiles.tif') as image:
        assert image.read((39000, 39000, 40000, 40000)).shape == (1000, 1000, 3)
        with pytest.raises(UnusableImage, match='tiles.tif states 40000×40000 pixels to be decoded at once'):
            image.read()


def test_what_is_no_image_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.png is not there'):
        ImageFile(tmp_path / 'gone.png')
    with pytest.raises(FileNotFoundError, match='is a folder'):
        ImageFile(tmp_path)
    (tmp_path / 'text.png').write_text('no image')
    (tmp_path / 'text.tif').write_bytes(b'II*\0\xff\xff\xff\x00')
    (tmp_path / 'empty.jpg').write_bytes(b'')
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, 'EPS')
    (tmp_path / 'program.eps').write_bytes(stream.getvalue())
    for name in ('text.png', 'text.tif', 'empty.jpg', 'program.eps'):
        with pytest.raises(UnusableImage, match=f'{name} is not a whole'):
            ImageFile(tmp_path / name)
    geotiff(tmp_path / 'two.tif', RGB[..., :2])
    with pytest.raises(UnusableImage, match='two.tif has two bands'):
        ImageFile(tmp_path / 'two.tif')
    geotiff(tmp_path / 'complex.tif', RGB[..., 0].astype(np.complex64))
    with pytest.raises(UnusableImage, match='complex.tif has complex numbers'):
        ImageFile(tmp_path / 'complex.tif', scale=(0, 1))
    each = ((0, 1), (0, 1), (0, 1))
    pairs = (each[:2], (*each[:2], (1, 0)), (*each, (0, 1)))
    for scale in ((5, 5), (9, 1), (0, np.inf), 'ab', 'abc', 3, (1, 2, 3), *pairs):
        with pytest.raises(ValueError, match='scale of images should be two numbers'):
            LoadImage(scale)


@pytest.mark.parametrize(
    'name', ['rgb.png', 'x.jpg', 'lzw.tif', 'palette.png', 'cmyk.tif', 'deep.png', 'deep.tif', 'x.jp2']
)
def test_files_that_are_cut_off_or_scrambled_end_in_a_sentence(name, tmp_path):
    path = tmp_path / name
    write, _, scale, _ = KINDS.get(name, (lambda p: opencv(p, RGB), RGB, None, False))
    write(path)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(UnusableImage, match=f'{name} '), ImageFile(path, scale=scale) as image:
        image.read()
    for _ in range(20):
        damaged = bytearray(content)
        for place in rng.integers(0, min(len(content), 400), 6):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            with ImageFile(path, scale=scale) as image:
                image.read()
        except UnusableImage as error:
            assert name in str(error)


def test_levels_are_rounded_and_what_is_no_number_is_the_lowest():
    values = np.array([-9, 0, 5, 6, 17, 18, 2994, 2995, 3000, 9999, np.nan, -np.inf, np.inf], np.float32)
    expected = [0, 0, 0, 1, 1, 2, 254, 255, 255, 255, 0, 0, 255]
    assert to_8_bits('x', values, (0, 3000)).tolist() == expected
