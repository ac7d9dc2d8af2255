"""Windows of files of any size, by rasterio where it is installed."""

import os
import warnings
from pathlib import Path

import numpy as np

from mmest.pictures.decoders.bands import Bands, check_bands, three
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

    def __init__(
        self,
        source: Path | bytes,
        name: str,
        scale: Scale | None,
        inverted: bool = False,
        chosen: Bands | None = None,
    ) -> None:
        self.name, self.inverted = name, inverted
        os.environ.setdefault('GDAL_CACHEMAX', _CACHE)
        self._memory = rasterio.MemoryFile(source) if isinstance(source, bytes) else None
        with damage_of(name), warnings.catch_warnings():
            warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
            self._raster = self._memory.open() if self._memory else rasterio.open(source)
        raster = self._raster
        meanings = rasterio.enums.ColorInterp
        palette = raster.colorinterp[0] == meanings.palette and raster.dtypes[0] == 'uint8'
        chosen = None if palette else chosen
        alpha = raster.colorinterp.index(meanings.alpha) + 1 if meanings.alpha in raster.colorinterp else 0
        check_bands(name, raster.count, bool(alpha), chosen)
        is_data = bool(chosen and alpha in chosen)  # as infrared is that is called alpha
        alpha = 0 if is_data else alpha
        self.alpha = alpha == raster.count == 4
        self.unseen = 0 if chosen else max(0, raster.count - 3 - bool(alpha))
        if len(set(raster.dtypes)) > 1:
            raise UnusableImage(name, f'has bands of different kinds ({", ".join(raster.dtypes)}); make them equal.')
        check_kind(name, raster.dtypes[0], scale)
        check_pixels(name, *raster.block_shapes[0][::-1])
        self.size = raster.width, raster.height
        self.nodata = raster.nodata
        self._bands = list(chosen) if chosen else [1, 2, 3] if raster.count >= 3 else [1]
        self._colours = None
        if palette:
            with damage_of(name):
                table = raster.colormap(1)
            self._colours = np.array([table.get(index, (0, 0, 0))[:3] for index in range(256)], np.uint8)
        # GDAL takes alpha bands of 8 and 16 bits alone for a mask.
        self._alpha = 0 if raster.dtypes[0] in ('uint8', 'uint16') else alpha
        kinds = rasterio.enums.MaskFlags
        flags = set().union(*raster.mask_flag_enums)
        # Without an alpha band each band that is shown has a mask of its own by the nodata value.
        self._by_number = kinds.nodata in flags and not alpha
        # GDAL's mask knows no other meaning of a band that is called alpha.
        self._masked = not self._by_number and not (is_data and kinds.alpha in flags) and flags != {kinds.all_valid}

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
        found, shown = None, None
        with damage_of(self.name), warnings.catch_warnings():
            # Of a nodata value beside what is called alpha.
            warnings.simplefilter('ignore', rasterio.errors.NodataShadowWarning)
            if self._masked:
                found = self._raster.dataset_mask(window=self._window(box)) > 0
            if self._by_number:
                shown = self._raster.read_masks(self._bands, window=self._window(box)).transpose(1, 2, 0) > 0
            if self._alpha:
                seen = self._raster.read(self._alpha, window=self._window(box)) > 0
                found = seen if found is None else found & seen
        if self._raster.dtypes[0].startswith('float'):
            numbers = ~np.isnan(self._read(box))
            shown = numbers if shown is None else shown & numbers
        if shown is not None:
            found = shown.any(-1) if found is None else found & shown.any(-1)
        return found

    def close(self) -> None:
        self._raster.close()
        if self._memory:
            self._memory.close()
