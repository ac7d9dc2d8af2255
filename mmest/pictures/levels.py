"""Numbers of any kind as the 8 bits that networks are trained on."""

import math
from collections.abc import Sequence

import numpy as np

from mmest.pictures.problems import UnusableImage

Scale = tuple[float, float]


def check_scale(scale: Sequence[float] | None) -> Scale | None:
    """The two values that become 0 and 255.

    Raises:
        ValueError: they are not two finite numbers of which the first is smaller.
    """
    if scale is None:
        return None
    try:
        low, high = (float(value) for value in scale)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(
            'The scale of images should be two numbers, the values that become 0 and 255, of which the first is '
            f'smaller, such as (0, 3000); it is {scale}.'
        )
    return low, high


def check_kind(name: str, kind: str, scale: Scale | None) -> None:
    """Images of other kinds than 8 bits need a rule.

    Args:
        name: the file.
        kind: of its numbers, as numpy names it.
        scale: the rule.

    Raises:
        UnusableImage: there is none, or no rule makes 8 bits of these numbers.
    """
    if kind.startswith('complex'):
        raise UnusableImage(name, 'has complex numbers as pixels; convert them to real ones first.')
    if kind not in ('uint8', 'uint1', 'uint2', 'uint4') and scale is None:
        raise UnusableImage(
            name,
            f'has pixels of the kind {kind}, where 8 bits (uint8) are expected. State which values become 0 and '
            '255: image_scale = (LOW, HIGH) in the config of a training, --scale LOW HIGH in prediction; or convert '
            'it: gdal_translate -ot Byte -scale LOW HIGH 0 255.',
        )


def to_8_bits(name: str, bands: np.ndarray, scale: Scale | None) -> np.ndarray:
    """Scale linearly to 0 to 255, and cut off what is beyond; what is no number becomes 0. Of 8 bits nothing changes.

    Args:
        name: the file.
        bands: of any shape and kind.
        scale: the values that become 0 and 255.

    Raises:
        UnusableImage: see :func:`check_kind`.
    """
    if bands.dtype == np.uint8:
        return bands
    check_kind(name, bands.dtype.name, scale)
    low, high = scale
    scaled = (bands.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255)).astype(np.uint8)
