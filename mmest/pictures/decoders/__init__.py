"""Ways to decode: a file's own format decides, never the caller."""

import contextlib
import io
from pathlib import Path

from PIL import Image

from mmest.pictures.decoders.array import ArrayDecoder
from mmest.pictures.decoders.bands import Bands, check_bands, orientation_of
from mmest.pictures.decoders.damage import any_size, damage_of
from mmest.pictures.decoders.pil import PilDecoder
from mmest.pictures.decoders.raster import RasterDecoder, rasterio
from mmest.pictures.formats import FORMATS
from mmest.pictures.jpeg2000 import is_jpeg2000, only_bands
from mmest.pictures.levels import Scale, check_kind
from mmest.pictures.problems import UnusableImage, check_pixels
from mmest.pictures.tiff import TiffHeader, is_tiff, read_tiff_header

# Formats of which PIL gives every pixel as it is; of others it may cut 16 bits to 8.
_EXACT = ('PNG', 'JPEG', 'MPO', 'BMP', 'GIF', 'WEBP', 'TIFF', 'PPM')
_MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr')


def open_decoder(
    source: Path | bytes, name: str, scale: Scale | None, chosen: Bands | None = None
) -> PilDecoder | ArrayDecoder | RasterDecoder:
    """The decoder of a file, after its header was looked at.

    Args:
        source: the file, or its content.
        name: for messages.
        scale: the rule for other numbers than 8 bits.
        chosen: the bands that are shown, of TIFF and JPEG 2000 without a palette; other formats say what is red.

    Raises:
        UnusableImage: see :class:`mmest.pictures.image.ImageFile`.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else None
    with damage_of(name), stream or source.open('rb') as opened:
        start = opened.read(16)
        by_bands = is_jpeg2000(start) and (rasterio or chosen or only_bands(opened))
    if is_tiff(start):
        return _open_tiff(source, name, scale, chosen)
    if by_bands:
        if not rasterio:
            raise UnusableImage(name, 'is JPEG 2000, whose bands only rasterio tells apart: pip install rasterio')
        return RasterDecoder(source, name, scale, chosen=chosen)
    with damage_of(name), any_size():
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    size = image.size
    check_pixels(name, *size)
    deep = _is_deep(image)
    if deep:
        check_kind(name, 'float32' if image.mode == 'F' else 'uint16', scale)
    if deep or image.format not in _EXACT:
        turn = orientation_of(image)
        image.close()
        return ArrayDecoder(_content(source), name, size, turn, scale, None)
    if image.mode not in _MODES:
        raise UnusableImage(name, f'has pixels of the kind {image.mode}; convert it to RGB of 8 bits first.')
    return PilDecoder(image, name)


def _is_deep(image: Image.Image) -> bool:
    """Whether it has more than 8 bits, of which PIL's mode does not tell."""
    if image.format == 'PPM':  # which states its largest number, unless that is 255
        args = image.tile[0].args
        return image.mode == 'F' or isinstance(args, tuple) and len(args) == 2 and args[1] > 255
    if image.format == 'JPEG2000':
        return image.mode.startswith('I')
    return image.format == 'PNG' and '16' in str(image.tile[0].args)


def _open_tiff(
    source: Path | bytes, name: str, scale: Scale | None, chosen: Bands | None
) -> PilDecoder | ArrayDecoder | RasterDecoder:
    with damage_of(name), io.BytesIO(source) if isinstance(source, bytes) else source.open('rb') as stream:
        header = read_tiff_header(stream, name)
    check_kind(name, header.kind, scale)
    chosen = None if header.palette else chosen
    check_bands(name, header.bands, header.alpha, chosen)
    turned = header.orientation != 1 and not header.georeferenced
    if header.plain and rasterio and not turned:
        return RasterDecoder(source, name, scale, header.inverted, chosen)
    size = header.width, header.height
    check_pixels(name, *size)
    if header.kind.startswith('uint') and int(header.kind[4:]) <= 8:
        image = None
        with contextlib.suppress(OSError, SyntaxError), any_size():
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
        if image is not None and chosen and len(image.getbands()) < header.bands:  # PIL leaves out what is no colour
            image.close()
            image = None
        if image is not None and header.palette and image.mode != 'P':
            image.close()
            raise UnusableImage(name, 'has a palette of a kind that only rasterio reads: pip install rasterio')
        if image is not None and image.mode in _MODES:
            return PilDecoder(image, name, _nodata_as_shown(header), header.unseen, chosen if header.plain else None)
        if image is not None:
            raise UnusableImage(name, f'has pixels of the kind {image.mode}; convert it to RGB of 8 bits first.')
    if header.bands not in (1, 3, 4):
        raise UnusableImage(name, f'has {header.bands} bands, which only rasterio reads: pip install rasterio')
    return ArrayDecoder(_content(source), name, size, header.orientation if turned else 1, scale, header, chosen)


def _nodata_as_shown(header: TiffHeader) -> float | None:
    """The value that stands for no data as PIL shows it: spread over 0 to 255 and turned round, but for a palette."""
    if header.nodata is None or header.palette:
        return header.nodata
    shown = header.nodata * 255 / (2 ** int(header.kind[4:]) - 1)
    return 255 - shown if header.inverted else shown


def _content(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()
