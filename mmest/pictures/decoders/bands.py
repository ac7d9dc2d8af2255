"""The bands of an image that are shown, as they are seen."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mmest.pictures.problems import UnusableImage

_ORIENTATION = 274  # the EXIF tag


Bands = tuple[int, ...]


def check_choice(bands: Sequence[int] | None) -> Bands | None:
    """The bands that are shown as red, green and blue, or the one that is shown as grey, counted from 1.

    Raises:
        ValueError: they are not three numbers from 1 on, or one.
    """
    if bands is None:
        return None
    chosen = tuple(bands) if isinstance(bands, Sequence) and not isinstance(bands, str) else (bands,)
    if len(chosen) not in (1, 3) or not all(type(one) is int and one > 0 for one in chosen):
        raise ValueError(
            'The bands of images should be three numbers from 1 on, of the bands that are red, green and blue, such as '
            f'(3, 2, 1), or one, shown as grey; they are {bands!r}.'
        )
    return chosen


def as_option(bands: Bands) -> str:
    """As ``--bands`` takes them: ``3,2,1``."""
    return ','.join(map(str, bands))


def check_bands(name: str, count: int, alpha: bool, chosen: Bands | None = None) -> None:
    """One band is grey, three and more begin with red, green and blue, and an alpha band is none of them; unless
    other bands are chosen.

    Raises:
        UnusableImage: there are two bands, or fewer than were chosen from.
    """
    if chosen and max(chosen) > count:
        raise UnusableImage(
            name, f'has {count} band{"s" * (count > 1)}, but band {max(chosen)} is asked for (image_bands, --bands).'
        )
    if count == 2 and not alpha and not chosen:
        raise UnusableImage(
            name,
            'has two bands; an image has one (grey), or three and more, of which RGB are the first. Or choose one as '
            'grey, by image_bands in the config of a training, or by --bands.',
        )


def three(bands: np.ndarray) -> np.ndarray:
    """H×W×3 of any number of bands: the first three, or grey three times."""
    return bands[..., :3] if bands.shape[2] >= 3 else np.repeat(bands[..., :1], 3, axis=2)


def chosen_of(bands: np.ndarray, chosen: Bands | None) -> np.ndarray:
    """Of H×W×bands those that were chosen; all where none were."""
    return bands[..., [number - 1 for number in chosen]] if chosen else bands


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
