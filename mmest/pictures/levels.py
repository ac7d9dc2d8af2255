"""Numbers of any kind as the 8 bits that networks are trained on."""

import math
from collections.abc import Sequence

import numpy as np

from mmest.pictures.problems import UnusableImage

Pair = tuple[float, float]
#: The values that become 0 and 255, of all bands or of each that is shown.
Scale = Pair | tuple[Pair, Pair, Pair]


def check_scale(scale: Sequence | None) -> Scale | None:
    """The two values that become 0 and 255, or a pair of them for each of the three bands that are shown.

    Raises:
        ValueError: they are not two finite numbers of which the first is smaller, nor three such pairs.
    """
    if scale is None:
        return None
    if isinstance(scale, Sequence) and len(scale) == 3:
        pairs = [_pair(pair) for pair in scale]
        found = None if None in pairs else tuple(pairs)
    else:
        found = _pair(scale)
    if found is None:
        raise ValueError(
            'The scale of images should be two numbers, the values that become 0 and 255, of which the first is '
            f'smaller, such as (0, 3000), or three such pairs, one for each band that is shown; it is {scale}.'
        )
    return found


def _pair(values: Sequence[float]) -> Pair | None:
    try:
        low, high = (float(value) for value in values)
    except (TypeError, ValueError):
        return None
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None


def in_words(scale: Scale) -> str:
    """``0 to 3000``, or a pair for each band, with commas between."""
    pairs = [scale] if np.ndim(scale) == 1 else scale
    return ', '.join(f'{low:g} to {high:g}' for low, high in pairs)


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
        bands: of any shape and kind; H×W×3 where each band has values of its own.
        scale: the values that become 0 and 255.

    Raises:
        UnusableImage: see :func:`check_kind`.
    """
    if bands.dtype == np.uint8:
        return bands
    check_kind(name, bands.dtype.name, scale)
    low, high = np.array(scale, np.float64).T
    scaled = (bands.astype(np.float64) - low) * (255 / (high - low))
    return np.rint(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255)).astype(np.uint8)
