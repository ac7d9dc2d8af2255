"""What a mask file holds: its pixels, its colours, and what it says of them."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from mmest.datasets.own.class_table import Colour
from mmest.pictures import ImageFile, read_mask
from mmest.pictures.decoders.damage import any_size
from mmest.pictures.formats import LOSSY
from mmest.pictures.problems import check_pixels
from mmest.pictures.tiff import is_tiff, read_tiff_header

_AT_ONCE = 2**20  # numbers of pixels


def is_lossy(file: Path) -> bool:
    """Whether it was compressed with loss."""
    if file.suffix.lower() == '.webp':
        with file.open('rb') as stream:
            return b'VP8L' not in stream.read(64)  # which is WebP without loss
    return file.suffix.lower() in LOSSY


def read_pixels(file: Path) -> tuple[np.ndarray, list[Colour] | None]:
    """Pixels, H×W or H×W×3, and the palette of a palette image. Colours that are all grey become one channel."""
    try:
        with any_size(), Image.open(file) as image:
            mode, flat = image.mode, []
            if mode == 'P':
                check_pixels(f'The mask {file}', *image.size)  # as PIL decodes it for its palette
                flat = image.getpalette() or []
    except UnidentifiedImageError:  # as kinds of TIFF that PIL does not know; of anything else the reader says it
        mode, flat = '', []
    except (OSError, SyntaxError) as error:
        raise ValueError(f'The mask {file} cannot be read: {error}. Copy or export it again.') from error
    if mode not in ('RGB', 'RGBA', 'LA', 'CMYK', 'YCbCr'):
        return read_mask(file), [tuple(flat[at : at + 3]) for at in range(0, len(flat), 3)] or None
    with ImageFile(file) as image:
        pixels = image.read()
    grey = (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 0] == pixels[..., 2]).all()
    return pixels[..., 0] if grey else pixels, None


def check_alpha(file: Path) -> None:
    """Transparency says nothing that the colours do not say.

    Raises:
        ValueError: a colour is shown and hidden by it, or is all that there is.
    """
    try:
        with any_size(), Image.open(file) as image:
            if image.mode not in ('RGBA', 'LA'):
                return
            pixels = np.asarray(image)
    except UnidentifiedImageError:  # as kinds of TIFF that PIL does not know
        return
    weights = np.array([1 << 24, 1 << 16, 1 << 8, 1] if pixels.shape[2] == 4 else [0x01010100, 1])
    found = np.unique(np.concatenate([np.unique(part @ weights) for part in parts(pixels)]))
    colours, starts = np.unique(found >> 8, return_index=True)
    least, most = found[starts] & 255, np.append(found[starts[1:] - 1], found[-1]) & 255
    wrong = (least < most) & ((least == 0) | (len(colours) == 1))
    if wrong.any():
        at = wrong.argmax()
        raise ValueError(
            f'The mask {file} has the colour {unpacked(int(colours[at]))} with different transparency (alpha '
            f'{least[at]} to {most[at]}), and classes are read from colours alone. Flatten it onto a background of '
            'another colour.'
        )


def nodata_of(file: Path) -> int | None:
    """The number from 1 to 255 that a TIFF file declares to stand for no data. 0 is a class all the same: it is
    declared where ground of no object shall be transparent.
    """
    with file.open('rb') as stream:
        tiff = is_tiff(stream.read(16))
        stream.seek(0)
        nodata = read_tiff_header(stream, f'The mask {file}').nodata if tiff else None
    return int(nodata) if nodata in range(1, 256) else None


def parts(pixels: np.ndarray) -> list[np.ndarray]:
    """Some rows at a time: numbers of colours take 8 bytes a pixel."""
    return np.array_split(pixels, max(1, pixels.size // _AT_ONCE))


def colours_of(pixels: np.ndarray, palette: list[Colour] | None) -> np.ndarray:
    """The colour of each pixel as one number, of H×W×3 colours, indices of a palette, or grey levels."""
    if pixels.ndim == 3:
        return pixels @ np.array([65536, 256, 1])
    if palette is None:
        return pixels * np.int64(65793)  # grey as a colour
    table = np.array([packed(colour) for colour in palette] + [-1] * (256 - len(palette)))
    return table[pixels]


def packed(colour: Colour) -> int:
    """A colour as one number."""
    return colour[0] * 65536 + colour[1] * 256 + colour[2]


def unpacked(value: int) -> Colour:
    """The colour of :func:`packed`."""
    return value // 65536, value // 256 % 256, value % 256
