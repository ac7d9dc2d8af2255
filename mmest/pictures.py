"""Pictures of any size, read by windows, with their georeference where rasterio is installed."""

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from mmest.tiles.grid import Box

# MB of blocks that GDAL keeps. By default it takes a share of the machine's memory; this holds the rows that tiles
# share.
os.environ.setdefault('GDAL_CACHEMAX', '128')
try:
    import rasterio
    import rasterio.warp
    from rasterio.windows import Window
except ImportError:
    rasterio = None

_TIFF = ('.tif', '.tiff')
_GEO_KEYS = 34735  # the TIFF tag that makes it a GeoTIFF


#: What readers raise for a file that is damaged.
_UNREADABLE = (OSError, SyntaxError, *((rasterio.errors.RasterioError,) if rasterio else ()))


class Picture:
    """An open picture.

    With rasterio, TIFF is read window by window from the disk; everything else is decoded at once, at four bytes a
    pixel.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is no picture of eight bits, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise FileNotFoundError(f'There is no picture {path}.')
        self.path, self.note = path, ''
        self.crs = self.transform = self._raster = None
        try:
            if rasterio and path.suffix.lower() in _TIFF:
                self._open_raster()
            else:
                self._open_whole()
        except _UNREADABLE as error:
            raise ValueError(f'{path} is not a whole picture: {error}') from error

    def _open_raster(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
            self._raster = rasterio.open(self.path)
        if set(self._raster.dtypes) != {'uint8'}:
            raise ValueError(
                f'{self.path} has pixels of {self._raster.dtypes[0]}; scale them to 8 bits first, such as with '
                'gdal_translate -ot Byte -scale.'
            )
        self.width, self.height = self._raster.width, self._raster.height
        if self._raster.crs:
            self.crs, self.transform = self._raster.crs, self._raster.transform

    def _open_whole(self) -> None:
        Image.MAX_IMAGE_PIXELS = None
        self._image = Image.open(self.path)
        self._image.load()
        if self._image.mode not in ('L', 'P', 'RGB', 'RGBA', 'LA'):
            raise ValueError(
                f'{self.path} has pixels of the kind {self._image.mode}; convert it to RGB of 8 bits first.'
            )
        self.width, self.height = self._image.size
        if self._image.format == 'TIFF' and _GEO_KEYS in self._image.tag_v2:
            self.note = 'its georeference is left out, as rasterio is not installed (pip install rasterio)'

    def read(self, box: Box) -> np.ndarray:
        """A window, as H×W×3 RGB."""
        if self._raster is None:
            return np.asarray(self._image.crop(box).convert('RGB'))
        bands = [1, 2, 3] if self._raster.count >= 3 else [1, 1, 1]
        try:
            found = self._raster.read(bands, window=Window(box[0], box[1], box[2] - box[0], box[3] - box[1]))
        except rasterio.errors.RasterioError as error:
            raise ValueError(f'{self.path} is not a whole picture: {error}') from error
        return np.ascontiguousarray(found.transpose(1, 2, 0))

    def ground(self, corners: list[tuple[float, float]]) -> list[tuple[float, float]] | None:
        """Pixels as longitude and latitude; None without a georeference."""
        if self.crs is None:
            return None
        x, y = zip(*(self.transform * corner for corner in corners))
        return list(zip(*rasterio.warp.transform(self.crs, 'EPSG:4326', x, y)))

    def close(self) -> None:
        (self._raster or self._image).close()
