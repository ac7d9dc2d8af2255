"""Windows of files of any size, by rasterio where it is installed."""

import os
import warnings
from pathlib import Path

import numpy as np

from mmest.pictures.decoders.bands import check_bands, three
from mmest.pictures.decoders.damage import damage_of
from mmest.pictures.levels import Scale, check_kind
from mmest.pictures.problems import UnusableImage, check_pixels
from mmest.tiles.grid import Box

try:
    import rasterio
    from rasterio.windows import Window
except ImportError:
    rasterio = None

# MB of blocks that GDAL keeps. By default it takes a share of the machine's memory; this holds the rows that tiles
# share.
_CACHE = '128'


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
        self.unseen = max(0, raster.count - 3 - (alpha in raster.colorinterp))
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
