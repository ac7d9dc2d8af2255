"""The bands of an image that are shown, as they are seen."""

import numpy as np
from PIL import Image

from mmest.pictures.problems import UnusableImage

_ORIENTATION = 274  # the EXIF tag


def check_bands(name: str, count: int, alpha: bool) -> None:
    """One band is grey, three and more begin with red, green and blue, and an alpha band is none of them.

    Raises:
        UnusableImage: there are two bands.
    """
    if count == 2 and not alpha:
        raise UnusableImage(
            name, 'has two bands; an image has one (grey), or three and more, of which RGB are the first.'
        )


def three(bands: np.ndarray) -> np.ndarray:
    """H×W×3 of any number of bands: the first three, or grey three times."""
    return bands[..., :3] if bands.shape[2] >= 3 else np.repeat(bands[..., :1], 3, axis=2)


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation that its header states, 1 to 8."""
    # PIL's own method for PNG decodes the whole image, in search of a tag behind the pixels.
    stated = Image.Image.getexif(image).get(_ORIENTATION, 1)
    return stated if stated in range(1, 9) else 1


def turned_by(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels as they are seen, by their EXIF orientation, 1 to 8."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels
