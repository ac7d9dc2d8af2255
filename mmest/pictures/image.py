"""An image of any kind and size as RGB of 8 bits."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmest.pictures.decoders import open_decoder
from mmest.pictures.decoders.bands import check_choice
from mmest.pictures.georeference import Georeference, read_georeference
from mmest.pictures.levels import check_scale, to_8_bits
from mmest.tiles.grid import Box


class ImageFile:
    """An open image. Its header is read and checked at once, its pixels when they are asked for.

    What is seen is the same for training, preparation and prediction: turned as its EXIF orientation says; grey, RGB,
    the first three of more bands or those of ``bands``, palettes, CMYK and MINISWHITE as RGB; other numbers than 8 bits
    by ``scale``. With rasterio, TIFF and JPEG 2000 are read window by window; everything else is decoded as a whole,
    once.

    Args:
        source: the file, or its content.
        name: of the file, for messages (default: its path).
        scale: the values that become 0 and 255, of images that have not 8 bits; those of 8 bits stay as they are.
        bands: of TIFF and JPEG 2000, the numbers of the bands that are shown as red, green and blue, or of the one that
            is shown as grey, counted from 1 (default: the first three). Other formats, and palettes, say which is red.

    Attributes:
        path: of the file; None for content.
        name: see above.
        width: in pixels, as it is seen.
        height: in pixels, as it is seen.
        alpha: whether the last of the four bands of a TIFF or JPEG 2000 is read as alpha. GDAL and rasterio call it so
            in files of 8 bits unless they are told otherwise, infrared too. One that ``bands`` has is none.
        unseen: how many bands are behind the first three, alpha not counted, where none were chosen.
        nodata: the number that stands for no data in a band; None where there is none.

    Raises:
        FileNotFoundError: there is no such file.
        UnusableImage: it is no image, is damaged or larger than is allowed, has two bands, or not those that are asked
            for, or has other numbers than 8 bits and no ``scale`` is stated.
        ValueError: ``scale`` or ``bands`` is no rule.
    """

    def __init__(
        self,
        source: Path | str | bytes,
        name: str = '',
        scale: Sequence[float] | None = None,
        bands: Sequence[int] | None = None,
    ) -> None:
        self.path = None if isinstance(source, bytes) else Path(source)
        self.name = name or (str(self.path) if self.path else 'The image')
        if self.path and not self.path.is_file():
            what = 'is a folder' if self.path.is_dir() else 'is not there'
            raise FileNotFoundError(f'The image {self.path} {what}.')
        self.scale = check_scale(scale)
        self._decoder = open_decoder(
            source if self.path is None else self.path, self.name, self.scale, check_choice(bands)
        )
        self.width, self.height = self._decoder.size
        self.alpha: bool = self._decoder.alpha
        self.unseen: int = self._decoder.unseen
        self.nodata: float | None = self._decoder.nodata
        self._georeference: Georeference | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self.width, self.height

    @property
    def georeference(self) -> Georeference:
        """Where its pixels lie on the ground, as far as it is known."""
        if self._georeference is None:
            self._georeference = read_georeference(self.path, self.size, self._decoder.turned)
        return self._georeference

    def load(self) -> None:
        """Decode it to its end; what is read by windows is decoded when they are.

        Raises:
            UnusableImage: it is damaged.
        """
        self._decoder.load()

    def read(self, box: Box | None = None) -> np.ndarray:
        """A tile, or all of it, as H×W×3 RGB, uint8.

        Raises:
            UnusableImage: it is damaged, or too large to be decoded at once.
        """
        bands = to_8_bits(self.name, self.numbers(box), self.scale)
        return np.ascontiguousarray(255 - bands if self._decoder.inverted else bands)

    def numbers(self, box: Box | None = None) -> np.ndarray:
        """As :meth:`read`, as H×W×3 numbers as they are stored.

        Raises:
            UnusableImage: as :meth:`read`.
        """
        return self._decoder.read(box or (0, 0, *self.size))

    def valid(self, box: Box | None = None) -> np.ndarray | None:
        """Where there is data, as H×W bool: not transparent, not the nodata value, a number. None: everywhere.

        Raises:
            UnusableImage: as :meth:`read`.
        """
        found = self._decoder.valid(box or (0, 0, *self.size))
        return None if found is None or found.all() else found

    def close(self) -> None:
        self._decoder.close()

    def __enter__(self) -> 'ImageFile':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
