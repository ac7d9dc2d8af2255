"""Which values become black and white in images that have not 8 bits: found from them, kept for prediction."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmest.pictures import ImageFile, UnusableImage
from mmest.pictures.levels import Pair, Scale
from mmest.tiles.grid import Box

_CUT = (1, 99)  # per cent of the values that stay inside
_LOOKED_AT = 50
_LEAST_SHARE = 0.5  # of the range of all bands, that one of them fills
_PARTS, _SIDE = 8, 128  # of a large image so many parts along each side are looked at, of so many pixels a side


def find_levels(images: Sequence[Path], bands: Sequence[int] | None = None) -> Scale | None:
    """The values that become 0 and 255: all but the lowest and the highest hundredth of the images' pixels. All bands
    share them, as in the colours that the eye sees, unless bands were chosen and one would be left with less than half
    of that range, as red beside infrared is: then each has its own.

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
    values: list[list[np.ndarray]] = []
    for image in (image for start in range(step) for image in deep[start::step]):
        if len(values) == _LOOKED_AT:
            break
        if any(map(len, found := _values(image, bands))):
            values.append(found)
    if not values:
        raise UnusableImage(
            str(deep[0]),
            f'has no pixel with data, and so have all {len(deep)} images that have not 8 bits: there is nothing to '
            'learn from. Check what they state as nodata value or alpha band.',
        )
    by_band = [np.concatenate(band) for band in zip(*values)]
    low, high = _range(np.concatenate(by_band))
    if bands:
        own = [_range(band) if len(band) else (low, high) for band in by_band]
        if any(top - bottom < _LEAST_SHARE * (high - low) for bottom, top in own):
            return own[0], own[1], own[2]
    return low, high


def _range(values: np.ndarray) -> Pair:
    low, high = np.percentile(values, _CUT).tolist()
    return (low, high) if high > low else (low, low + 1)


def _needs_levels(image: Path, bands: Sequence[int] | None) -> bool:
    try:
        ImageFile(image, bands=bands).close()
    except UnusableImage:
        ImageFile(image, scale=(0, 1), bands=bands).close()
        return True
    return False


def _values(image: Path, bands: Sequence[int] | None) -> list[np.ndarray]:
    """The numbers of each band that show something: no alpha band, no nodata values, nothing that is no number."""
    values = []
    with ImageFile(image, scale=(0, 1), bands=bands) as picture:
        for box in _parts(*picture.size):
            numbers, valid = picture.numbers(box), picture.valid(box)
            shown = np.isfinite(numbers) & (True if valid is None else valid[..., None])
            if picture.nodata is not None:
                shown &= numbers != picture.nodata
            values.append([numbers[..., band][shown[..., band]] for band in range(numbers.shape[2])])
    return [np.concatenate(band) for band in zip(*values)]


def _parts(width: int, height: int) -> list[Box]:
    """Windows in the middles of equal parts of an image, or all of it."""
    if max(width, height) <= _PARTS * _SIDE:
        return [(0, 0, width, height)]
    middles = (np.arange(_PARTS) + 0.5) / _PARTS
    xs, ys = ((middles * side - _SIDE / 2).clip(0).astype(int).tolist() for side in (width, height))
    return [(x, y, min(x + _SIDE, width), min(y + _SIDE, height)) for y in ys for x in xs]
