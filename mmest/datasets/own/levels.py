"""Which values become black and white in images that have not 8 bits: found from them, kept for prediction."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mmest.pictures import ImageFile, UnusableImage

try:
    import rasterio
except ImportError:
    rasterio = None

_CUT = (1, 99)  # per cent of the values that stay inside
_LOOKED_AT, _SIDE = 50, 1024


def find_levels(images: Sequence[Path]) -> tuple[float, float] | None:
    """The values that become 0 and 255: all but the lowest and the highest hundredth of the images' pixels.

    Args:
        images: the files, of which some spread over all are looked at.

    Returns:
        None where images have 8 bits.

    Raises:
        UnusableImage: an image cannot be read.
    """
    if not any(_needs_levels(image) for image in images):
        return None
    step = -(-len(images) // _LOOKED_AT)
    values = np.concatenate([_values(image) for image in images[::step]])
    low, high = np.percentile(values, _CUT).tolist()
    return (low, high) if high > low else (low, low + 1)


def _needs_levels(image: Path) -> bool:
    try:
        ImageFile(image).close()
    except UnusableImage:
        ImageFile(image, scale=(0, 1)).close()
        return True
    return False


def _values(image: Path) -> np.ndarray:
    """Pixels of the first three bands where there is data, of a large image at a lower resolution."""
    if rasterio is None:
        pixels = cv2.imread(str(image), cv2.IMREAD_UNCHANGED)
        return pixels[::4, ::4].ravel().astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(image) as raster:
            shrink = max(1, max(raster.width, raster.height) // _SIDE)
            shape = (min(raster.count, 3), raster.height // shrink, raster.width // shrink)
            pixels = raster.read(list(range(1, shape[0] + 1)), out_shape=shape, masked=True).compressed()
    return pixels[np.isfinite(pixels)].astype(float)
