"""Ways to decode: a file's own format decides, never the caller."""

import contextlib
import io
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from mmest.pictures.levels import Scale, check_kind
from mmest.pictures.problems import UnusableImage, check_pixels
from mmest.pictures.tiff import TiffHeader, is_tiff, read_tiff_header
from mmest.tiles.grid import Box

try:
    import rasterio
    from rasterio.windows import Window
except ImportError:
    rasterio = None

# MB of blocks that GDAL keeps. By default it takes a share of the machine's memory; this holds the rows that tiles
# share.
_CACHE = '128'
_ORIENTATION = 274  # the EXIF tag
# Others are none of imagery, and some run a program when they are decoded.
FORMATS = ('PNG', 'JPEG', 'BMP', 'GIF', 'WEBP', 'TIFF', 'JPEG2000', 'PPM')
# Formats of which PIL gives every pixel as it is; of others it may cut 16 bits to 8.
_EXACT = ('PNG', 'JPEG', 'MPO', 'BMP', 'GIF', 'WEBP', 'TIFF')
_MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr')
_TRANSPARENT = ('LA', 'PA', 'RGBA')


class _PilLimit:
    """PIL's limit, one of the whole process: the last of the threads that lift it restores it."""

    def __init__(self) -> None:
        self.lock, self.users, self.value = threading.Lock(), 0, Image.MAX_IMAGE_PIXELS


_PIL_LIMIT = _PilLimit()


class PilDecoder:
    """Images of 8 bits that PIL knows, kept as PIL decodes them; of a palette ``nodata`` is an index."""

    inverted = False

    def __init__(self, image: Image.Image, name: str, nodata: float | None = None) -> None:
        self.name, self._image, self.nodata = name, image, nodata
        # PIL turns TIFF by itself, and states the size after that.
        turn = orientation_of(image)
        self.turned = turn != 1
        swapped = turn >= 5 and image.format != 'TIFF'
        self.size = image.size[::-1] if swapped else image.size
        self.alpha = image.format == 'TIFF' and image.mode == 'RGBA'
        self._loaded = False

    def load(self) -> None:
        if self._loaded:
            return
        with damage_of(self.name), any_size():  # PIL looks at its limit again for TIFF
            self._image.load()
            if self.turned:
                self._image = ImageOps.exif_transpose(self._image)
        self._loaded = True

    def read(self, box: Box) -> np.ndarray:
        part = self._part(box)
        return np.asarray(part if part.mode == 'RGB' else part.convert('RGB'))

    def _part(self, box: Box) -> Image.Image:
        self.load()
        if box == (0, 0, *self.size):
            return self._image
        with any_size():
            return self._image.crop(box)

    def valid(self, box: Box) -> np.ndarray | None:
        self.load()
        if self._image.mode not in _TRANSPARENT and 'transparency' not in self._image.info:
            if self.nodata is None:
                return None
            if self._image.mode == 'P':
                return np.asarray(self._part(box)) != self.nodata
            return (self.read(box) != self.nodata).any(-1)
        return np.asarray(self._part(box).convert('RGBA'))[..., 3] > 0

    def close(self) -> None:
        self._image.close()


class ArrayDecoder:
    """Images of more than 8 bits, as OpenCV decodes them."""

    def __init__(
        self,
        content: bytes,
        name: str,
        size: tuple[int, int],
        turn: int,
        scale: Scale | None,
        header: TiffHeader | None,
    ) -> None:
        self.name, self._content, self._turn, self._scale, self._header = name, content, turn, scale, header
        self.turned = turn != 1
        self.size = size[::-1] if turn >= 5 else size
        self.inverted = bool(header and header.inverted)
        self.alpha = bool(header and header.alpha and header.bands == 4)
        self.nodata = header.nodata if header else None
        self._stored: np.ndarray | None = None

    def load(self) -> None:
        if self._stored is not None:
            return
        with damage_of(self.name):
            if self._content.startswith(b'\x89PNG'):  # OpenCV fills up what is missing
                with any_size(), Image.open(io.BytesIO(self._content)) as image:
                    image.verify()
            found = cv2.imdecode(
                np.frombuffer(self._content, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
            )
            if found is None:
                raise OSError('OpenCV cannot decode it')
        self._content = b''
        found = found[..., None] if found.ndim == 2 else found
        if self._header and found.shape[2] != self._header.bands:
            raise UnusableImage(
                self.name, f'has {self._header.bands} bands of a kind that only rasterio reads: pip install rasterio'
            )
        check_bands(self.name, found.shape[2], found.shape[2] in (2, 4))
        check_kind(self.name, found.dtype.name, self._scale)
        order = [2, 1, 0, 3] if found.shape[2] == 4 else [2, 1, 0]
        self._stored = turned_by(found[..., order] if found.shape[2] >= 3 else found, self._turn)

    def _bands(self, box: Box) -> np.ndarray:
        self.load()
        return self._stored[box[1] : box[3], box[0] : box[2]]

    def read(self, box: Box) -> np.ndarray:
        return three(self._bands(box))

    def valid(self, box: Box) -> np.ndarray | None:
        bands = self._bands(box)
        header = self._header
        if bands.shape[2] in (2, 4) and (header is None or header.alpha):
            return bands[..., -1] > 0
        found = ~np.isnan(bands).all(-1)
        if self.nodata is not None:
            found &= (bands != self.nodata).any(-1)
        return found

    def close(self) -> None:
        self._stored = None


class RasterDecoder:
    """Windows of a file on the disk, by rasterio."""

    turned = False

    def __init__(self, source: Path | bytes, name: str, scale: Scale | None, inverted: bool = False) -> None:
        self.name, self.inverted = name, inverted
        os.environ.setdefault('GDAL_CACHEMAX', _CACHE)
        self._memory = rasterio.MemoryFile(source) if isinstance(source, bytes) else None
        with damage_of(name), warnings.catch_warnings():
            warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
            self._raster = self._memory.open() if self._memory else rasterio.open(source)
        raster = self._raster
        alpha = rasterio.enums.ColorInterp.alpha
        self.alpha = raster.count == 4 and raster.colorinterp[3] == alpha
        check_bands(name, raster.count, alpha in raster.colorinterp)
        if len(set(raster.dtypes)) > 1:
            raise UnusableImage(name, f'has bands of different kinds ({", ".join(raster.dtypes)}); make them equal.')
        check_kind(name, raster.dtypes[0], scale)
        check_pixels(name, *raster.block_shapes[0][::-1])
        self.size = raster.width, raster.height
        self.nodata = raster.nodata
        self._bands = [1, 2, 3] if raster.count >= 3 else [1]
        self._colours = None
        if raster.colorinterp[0] == rasterio.enums.ColorInterp.palette and raster.dtypes[0] == 'uint8':
            with damage_of(name):
                table = raster.colormap(1)
            self._colours = np.array([table.get(index, (0, 0, 0))[:3] for index in range(256)], np.uint8)
        # GDAL takes alpha bands of 8 and 16 bits alone for a mask.
        masks = alpha not in raster.colorinterp or raster.dtypes[0] in ('uint8', 'uint16')
        self._alpha = None if masks else raster.colorinterp.index(alpha) + 1
        self._whole = all(flags == [rasterio.enums.MaskFlags.all_valid] for flags in raster.mask_flag_enums)

    def load(self) -> None:
        """Windows are decoded when they are read."""

    def _read(self, box: Box) -> np.ndarray:
        check_pixels(self.name, box[2] - box[0], box[3] - box[1])
        with damage_of(self.name):
            return self._raster.read(self._bands, window=self._window(box)).transpose(1, 2, 0)

    @staticmethod
    def _window(box: Box) -> 'Window':
        return Window(box[0], box[1], box[2] - box[0], box[3] - box[1])

    def read(self, box: Box) -> np.ndarray:
        bands = self._read(box)
        return three(bands) if self._colours is None else self._colours[bands[..., 0]]

    def valid(self, box: Box) -> np.ndarray | None:
        found = None
        if not self._whole:
            with damage_of(self.name):
                found = self._raster.dataset_mask(window=self._window(box)) > 0
        if self._alpha:
            with damage_of(self.name):
                seen = self._raster.read(self._alpha, window=self._window(box)) > 0
            found = seen if found is None else found & seen
        if self._raster.dtypes[0].startswith('float'):
            numbers = ~np.isnan(self._read(box)).all(-1)
            found = numbers if found is None else found & numbers
        return found

    def close(self) -> None:
        self._raster.close()
        if self._memory:
            self._memory.close()


def open_decoder(source: Path | bytes, name: str, scale: Scale | None) -> PilDecoder | ArrayDecoder | RasterDecoder:
    """The decoder of a file, after its header was looked at.

    Args:
        source: the file, or its content.
        name: for messages.
        scale: the rule for other numbers than 8 bits.

    Raises:
        UnusableImage: see :class:`mmest.pictures.image.ImageFile`.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else None
    with damage_of(name), stream or source.open('rb') as opened:
        start = opened.read(16)
    if is_tiff(start):
        return _open_tiff(source, name, scale)
    with damage_of(name), any_size():
        image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
    size = image.size
    if image.format == 'JPEG2000' and rasterio:
        image.close()
        return RasterDecoder(source, name, scale)
    check_pixels(name, *size)
    deep = image.format == 'PNG' and '16' in str(image.tile[0].args)
    if deep:
        check_kind(name, 'uint16', scale)
    if deep or image.format not in _EXACT:
        turn = orientation_of(image)
        image.close()
        return ArrayDecoder(_content(source), name, size, turn, scale, None)
    if image.mode not in _MODES:
        raise UnusableImage(name, f'has pixels of the kind {image.mode}; convert it to RGB of 8 bits first.')
    return PilDecoder(image, name)


def _open_tiff(source: Path | bytes, name: str, scale: Scale | None) -> PilDecoder | ArrayDecoder | RasterDecoder:
    with damage_of(name), io.BytesIO(source) if isinstance(source, bytes) else source.open('rb') as stream:
        header = read_tiff_header(stream, name)
    check_kind(name, header.kind, scale)
    check_bands(name, header.bands, header.alpha)
    turned = header.orientation != 1 and not header.georeferenced
    if header.plain and rasterio and not turned:
        return RasterDecoder(source, name, scale, header.inverted)
    size = header.width, header.height
    check_pixels(name, *size)
    if header.kind.startswith('uint') and int(header.kind[4:]) <= 8:
        image = None
        with contextlib.suppress(OSError, SyntaxError), any_size():
            image = Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS)
        if image is not None and header.palette and image.mode != 'P':
            image.close()
            raise UnusableImage(name, 'has a palette of a kind that only rasterio reads: pip install rasterio')
        if image is not None and image.mode in _MODES:
            return PilDecoder(image, name, _nodata_as_shown(header))
        if image is not None:
            raise UnusableImage(name, f'has pixels of the kind {image.mode}; convert it to RGB of 8 bits first.')
    if header.bands not in (1, 3, 4):
        raise UnusableImage(name, f'has {header.bands} bands, which only rasterio reads: pip install rasterio')
    return ArrayDecoder(_content(source), name, size, header.orientation if turned else 1, scale, header)


def _nodata_as_shown(header: TiffHeader) -> float | None:
    """The value that stands for no data as PIL shows it: spread over 0 to 255 and turned round, but for a palette."""
    if header.nodata is None or header.palette:
        return header.nodata
    shown = header.nodata * 255 / (2 ** int(header.kind[4:]) - 1)
    return 255 - shown if header.inverted else shown


def check_bands(name: str, count: int, alpha: bool) -> None:
    """One band is grey, three and more begin with red, green and blue, and an alpha band is none of them.

    Raises:
        UnusableImage: there are two bands.
    """
    if count == 2 and not alpha:
        raise UnusableImage(
            name, 'has two bands; an image has one (grey), or three and more, of which RGB are the first.'
        )


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation that its header states, 1 to 8."""
    # PIL's own method for PNG decodes the whole image, in search of a tag behind the pixels.
    stated = Image.Image.getexif(image).get(_ORIENTATION, 1)
    return stated if stated in range(1, 9) else 1


def three(bands: np.ndarray) -> np.ndarray:
    """H×W×3 of any number of bands: the first three, or grey three times."""
    return bands[..., :3] if bands.shape[2] >= 3 else np.repeat(bands[..., :1], 3, axis=2)


def turned_by(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels as they are seen, by their EXIF orientation, 1 to 8."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


@contextlib.contextmanager
def damage_of(name: str) -> Iterator[None]:
    """Say of which file a decoder speaks.

    Raises:
        UnusableImage: in place of whatever the decoder raised.
    """
    try:
        yield
    except UnusableImage:
        raise
    except UnidentifiedImageError as error:
        raise UnusableImage(name, f'is not a whole image of a known format ({", ".join(FORMATS)}).') from error
    except MemoryError as error:
        raise UnusableImage(name, 'does not fit into memory; cut it into tiles.') from error
    except Exception as error:  # of damaged files decoders raise anything
        raise UnusableImage(name, f'is not a whole image: {error or type(error).__name__}') from error


@contextlib.contextmanager
def any_size() -> Iterator[None]:
    """Have PIL open images of any size: :func:`check_pixels` decides, where PIL takes large ones for an attack."""
    with _PIL_LIMIT.lock:
        if not _PIL_LIMIT.users:
            _PIL_LIMIT.value, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _PIL_LIMIT.users += 1
    try:
        yield
    finally:
        with _PIL_LIMIT.lock:
            _PIL_LIMIT.users -= 1
            if not _PIL_LIMIT.users:
                Image.MAX_IMAGE_PIXELS = _PIL_LIMIT.value


def _content(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()
