"""Which values become black and white in images that have not 8 bits: found from them, kept for prediction."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmest.pictures import ImageFile, UnusableImage
from mmest.tiles.grid import Box

_CUT = (1, 99)  # per cent of the values that stay inside
_LOOKED_AT = 50
_PARTS, _SIDE = 8, 128  # of a large image so many parts along each side are looked at, of so many pixels a side


def find_levels(images: Sequence[Path], bands: Sequence[int] | None = None) -> tuple[float, float] | None:
    """The values that become 0 and 255: all but the lowest and the highest hundredth of the images' pixels.

    Args:
        images: the files, of which some spread over all are looked at, and of large ones parts.
        bands: of them that are shown.

    Returns:
        None where images have 8 bits.

    Raises:
        UnusableImage: an image cannot be read, or none has a pixel with data.
    """
    deep = [image for image in images if _needs_levels(image, bands)]
    if not deep:
        return None
    step = -(-len(deep) // _LOOKED_AT)
    values: list[np.ndarray] = []
    for image in (image for start in range(step) for image in deep[start::step]):
        if len(values) == _LOOKED_AT:
            break
        if len(found := _values(image, bands)):
            values.append(found)
    if not values:
        raise UnusableImage(
            str(deep[0]),
            f'has no pixel with data, and so have all {len(deep)} images that have not 8 bits: there is nothing to '
            'learn from. Check what they state as nodata value or alpha band.',
        )
    low, high = np.percentile(np.concatenate(values), _CUT).tolist()
    return (low, high) if high > low else (low, low + 1)


def _needs_levels(image: Path, bands: Sequence[int] | None) -> bool:
    try:
        ImageFile(image, bands=bands).close()
    except UnusableImage:
        ImageFile(image, scale=(0, 1), bands=bands).close()
        return True
    return False


def _values(image: Path, bands: Sequence[int] | None) -> np.ndarray:
    """The numbers that show something: no alpha band, no nodata values, nothing that is no number."""
    values = []
    with ImageFile(image, scale=(0, 1), bands=bands) as picture:
        for box in _parts(*picture.size):
            numbers, valid = picture.numbers(box), picture.valid(box)
            shown = np.isfinite(numbers) & (True if valid is None else valid[..., None])
            if picture.nodata is not None:
                shown &= numbers != picture.nodata
            values.append(numbers[shown])
    return np.concatenate(values)


def _parts(width: int, height: int) -> list[Box]:
    """Windows in the middles of equal parts of an image, or all of it."""
    if max(width, height) <= _PARTS * _SIDE:
        return [(0, 0, width, height)]
    middles = (np.arange(_PARTS) + 0.5) / _PARTS
    xs, ys = ((middles * side - _SIDE / 2).clip(0).astype(int).tolist() for side in (width, height))
    return [(x, y, min(x + _SIDE, width), min(y + _SIDE, height)) for y in ys for x in xs]
