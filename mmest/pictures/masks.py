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
_OF_PIL = ('uint8', 'uint1', 'uint2', 'uint4')  # of others it knows some, and swaps their bytes at times
_MODES = ('1', 'L', 'P', 'I', 'I;16', 'I;16B', 'F')
# PIL spreads these over 0 to 255, or turns them round.
_STORED = {'L;2': lambda pixels: pixels // 85, 'L;4': lambda pixels: pixels // 17, 'L;I': lambda pixels: 255 - pixels}


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
    nodata = None
    if is_tiff(content[:16]):
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
        stored = str(image.tile[0].args[0] if isinstance(image.tile[0].args, tuple) else image.tile[0].args)
        with damage_of(name), any_size():
            numbers = np.asarray(ImageOps.exif_transpose(image))
    if numbers.dtype == np.uint8:
        return _STORED.get(stored, np.array)(numbers)
    return _whole_numbers(numbers, nodata, name)


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
