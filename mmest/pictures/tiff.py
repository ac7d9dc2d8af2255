"""What the header of a TIFF file states. PIL's own reading of it refuses the kinds that PIL does not decode."""

import math
import warnings
from dataclasses import dataclass
from typing import BinaryIO

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from mmest.pictures.problems import UnusableImage

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 259, 262, 274
_SAMPLES, _COLOURS, _EXTRA, _FORMAT, _GEO_KEYS, _NODATA = 277, 320, 338, 339, 34735, 42113
_JPEG = 7
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _CMYK, _YCBCR = 0, 1, 2, 5, 6


@dataclass(frozen=True)
class TiffHeader:
    """The first image of a TIFF file.

    Attributes:
        width: in pixels, as stored.
        height: in pixels, as stored.
        bands: samples per pixel.
        kind: of the numbers: ``uint8``, ``int16``, ``float32``, ``uint4``, ...
        photometric: what the numbers mean, as TIFF counts.
        compression: as TIFF counts.
        alpha: whether the band after the colours is an alpha band.
        orientation: as EXIF counts, 1 to 8.
        nodata: the value that stands for no data, as GDAL notes it.
        georeferenced: whether it is a GeoTIFF.
        palette: whether it has a table of colours, which its numbers then stand for whatever ``photometric`` says.
    """

    width: int
    height: int
    bands: int
    kind: str
    photometric: int
    compression: int
    alpha: bool
    orientation: int
    nodata: float | None
    georeferenced: bool
    palette: bool

    @property
    def inverted(self) -> bool:
        """Whether 0 is white."""
        return self.photometric == _WHITE_IS_ZERO

    @property
    def unseen(self) -> int:
        """How many bands are behind the colours, alpha not counted."""
        return max(0, self.bands - (4 if self.photometric == _CMYK else 3) - self.alpha)

    @property
    def plain(self) -> bool:
        """Whether the bands are what they mean, without a palette or another space of colours."""
        stored = (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB)
        decoded = self.photometric == _YCBCR and self.compression == _JPEG  # GDAL makes RGB of it
        whole_bytes = int(self.kind.lstrip('uintfloacmpex')) % 8 == 0
        return (self.photometric in stored or decoded) and whole_bytes


def is_tiff(start: bytes) -> bool:
    """Whether the first bytes of a file are those of TIFF or BigTIFF."""
    return start[:4] in (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')


def read_tiff_header(stream: BinaryIO, name: str) -> TiffHeader:
    """What a TIFF file states.

    Args:
        stream: the file, at its beginning.
        name: of the file, for the message.

    Raises:
        UnusableImage: the header is damaged, or bands differ in kind.
    """
    try:
        start = stream.read(8)
        if start[2:3] == b'+':  # BigTIFF
            start += stream.read(8)
        tags = ImageFileDirectory_v2(start)
        stream.seek(tags.next)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of damaged tags: those that matter are looked at
            tags.load(stream)
        bits = tags.get(_BITS, (1,))
        formats = tags.get(_FORMAT, (1,))
        bands = int(tags.get(_SAMPLES, 1))
        extra = tags.get(_EXTRA) or ()
        width, height = int(tags[_WIDTH]), int(tags[_HEIGHT])
        photometric = int(tags.get(_PHOTOMETRIC, _BLACK_IS_ZERO))
        compression, orientation = int(tags.get(_COMPRESSION, 1)), int(tags.get(_ORIENTATION, 1))
    except Exception as error:  # a damaged header raises anything
        raise UnusableImage(
            name, f'is not a whole image: its TIFF header is damaged ({type(error).__name__}: {error}).'
        ) from error
    if len(set(bits)) > 1 or len(set(formats)) > 1:
        raise UnusableImage(name, f'has bands of different kinds ({", ".join(map(str, bits))} bits); make them equal.')
    colours = bands - len(extra)
    return TiffHeader(
        width,
        height,
        bands,
        f'{ {2: "int", 3: "float", 5: "complex", 6: "complex"}.get(formats[0], "uint") }{bits[0]}',
        photometric,
        compression,
        colours in (1, 3) and bool(extra) and extra[0] in (1, 2),
        orientation if 1 <= orientation <= 8 else 1,
        _number(tags.get(_NODATA)),
        _GEO_KEYS in tags,
        _COLOURS in tags,
    )


def _number(text: object) -> float | None:
    try:
        number = float(str(text).strip().strip('\0'))
    except ValueError:
        return None
    return number if not math.isinf(number) else None
