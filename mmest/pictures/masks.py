"""Masks whose pixels are class numbers."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mmest.pictures.decoders import open_decoder
from mmest.pictures.decoders.damage import any_size, damage_of
from mmest.pictures.formats import FORMATS
from mmest.pictures.problems import UnusableImage, check_pixels
from mmest.pictures.tiff import is_tiff, read_tiff_header

IGNORED = 255
_AT_ONCE = 2**20  # pixels
_OF_PIL = ('uint8', 'uint1', 'uint2', 'uint4')  # of others it knows some, and swaps their bytes at times
_MODES = ('1', 'L', 'P', 'I', 'I;16', 'I;16B', 'F')


def read_mask(source: Path | str | bytes, name: str = '') -> np.ndarray:
    """A mask as H×W class numbers, uint8, of which 255 is ignored.

    Of a palette image the numbers are the indices. What is no number, and a declared nodata value that is no class
    number, become 255.

    Args:
        source: the file, or its content.
        name: of the file, for messages (default: its path).

    Raises:
        FileNotFoundError: there is no such file.
        UnusableImage: it is damaged or too large, has several bands, or holds fractions or numbers beyond 0 to 255.
    """
    name = name or ('The mask' if isinstance(source, bytes) else f'The mask {source}')
    if not isinstance(source, bytes) and not Path(source).is_file():
        raise FileNotFoundError(f'{name} is not there.')
    content = source if isinstance(source, bytes) else Path(source).read_bytes()
    nodata, tiff = None, is_tiff(content[:16])
    if tiff:
        header = read_tiff_header(io.BytesIO(content), name)
        nodata = header.nodata
        if header.bands > 1:
            raise _colours(name)
        if header.kind not in _OF_PIL:
            return _whole_numbers(_band(content, name), nodata, name)
    with damage_of(name), any_size():
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    with image:
        check_pixels(name, *image.size)
        if image.mode not in _MODES:
            raise _colours(name)
        tile = image.tile[0]
        with damage_of(name), any_size():
            pixels = np.asarray(ImageOps.exif_transpose(image))
    numbers = _as_stored(pixels, tile.codec_name, tile.args, tiff)
    return numbers if numbers.dtype == np.uint8 else _whole_numbers(numbers, nodata, name)


def count_numbers(mask: np.ndarray) -> np.ndarray:
    """How many pixels of a mask, uint8, have each of the 256 numbers.

    By some rows at a time: numpy counts in 8 bytes a pixel.
    """
    parts = np.array_split(mask, max(1, mask.size // _AT_ONCE))
    return sum((np.bincount(part.ravel(), minlength=256) for part in parts), np.zeros(256, np.int64))


def _as_stored(pixels: np.ndarray, codec: str, args: object, tiff: bool) -> np.ndarray:
    """The numbers that a file has: PIL spreads them over all that its pixels may be, and turns those of a TIFF round
    whose 0 is white.
    """
    form, *more = args if isinstance(args, tuple) else (args,)
    if codec.startswith('ppm') and more:
        return np.rint(pixels * (more[0] / (65535 if more[0] > 255 else 255)))
    if pixels.dtype not in (bool, np.uint8):
        return pixels
    raw = str(form)  # GIF has a number here
    step = {'L;2': 85, 'L;4': 17}.get(raw[:3], 1)
    numbers = pixels.astype(np.uint8) // step
    largest = 1 if pixels.dtype == bool else 255 // step
    return largest - numbers if tiff and 'I' in raw.partition(';')[2] else numbers


def _band(content: bytes, name: str) -> np.ndarray:
    decoder = open_decoder(content, name, (0, 1))
    try:
        return decoder.read((0, 0, *decoder.size))[..., 0]
    finally:
        decoder.close()


def _whole_numbers(numbers: np.ndarray, nodata: float | None, name: str) -> np.ndarray:
    ignored = np.isnan(numbers) if numbers.dtype.kind == 'f' else np.zeros(numbers.shape, bool)
    if nodata is not None and not 0 <= nodata <= IGNORED:
        ignored |= numbers == nodata
    known = numbers[~ignored].astype(np.float64)
    wrong = known[(known < 0) | (known > IGNORED) | (known != np.floor(known))]
    if wrong.size:
        raise UnusableImage(
            name,
            f'has pixels of value {wrong[0]:g}; class numbers are whole, from 0 to 254 (255 is ignored): convert it.',
        )
    return np.where(ignored, IGNORED, numbers).astype(np.uint8)


def _colours(name: str) -> UnusableImage:
    return UnusableImage(name, 'is a colour image. Masks have one channel, whose pixels are class numbers: convert it.')
