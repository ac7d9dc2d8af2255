"""Ground without an image: what is labelled there, no model can learn."""

import shlex

import numpy as np

from mmest.datasets.own.sample import UNLABELLED, Notes, Sample
from mmest.pictures.masks import count_numbers

_MOST = 0.5  # of the pixels of a class
_BLACK = 10  # loss of compression leaves black up to here


def blank(sample: Sample) -> np.ndarray:
    """Which pixels of a tile hold no image, by nodata value, alpha or as no number: H×W."""
    box = sample.window or (0, 0, sample.width, sample.height)
    with sample.open() as picture:
        valid = picture.valid(box)
    return np.zeros((sample.height, sample.width), bool) if valid is None else ~valid


def states_nodata(sample: Sample) -> bool:
    """Whether the image says which number stands for no data."""
    with sample.open() as picture:
        return picture.nodata is not None


class Labels:
    """Labelled pixels, as those without an image are taken out of masks.

    Args:
        classes: names by number.
    """

    def __init__(self, classes: list[str]) -> None:
        self._classes = classes
        # By class: all, those taken out, and of these those that a band 4 took that is perhaps no alpha.
        self._all, self._gone, self._shown = np.zeros((3, UNLABELLED + 1), np.int64)
        self._doubtful: dict[int, Sample] = {}

    def take_out(self, mask: np.ndarray, sample: Sample) -> bool:
        """Make pixels without an image unlabelled, in place; whether there are any that were not."""
        gone = blank(sample)
        self._all += count_numbers(mask)
        self._gone += count_numbers(mask[gone])
        if gone.any():
            shown = count_numbers(mask[gone & _shows_though_transparent(sample)])
            self._shown += shown
            self._doubtful = dict.fromkeys(shown.nonzero()[0].tolist(), sample) | self._doubtful
        labelled = bool((mask[gone] != UNLABELLED).any())
        mask[gone] = UNLABELLED
        return labelled

    def check(self, notes: Notes) -> None:
        """Say which classes have lost most of their pixels.

        Raises:
            ValueError: one has by an alpha band, and the image shows something there.
        """
        for number, name in enumerate(self._classes):
            limit = _MOST * self._all[number]
            if self._shown[number] > limit:
                image = self._doubtful[number].image
                raise ValueError(
                    f'{self._shown[number] / self._all[number]:.0%} of the pixels of "{name}" lie where band 4 of '
                    f'rasters such as {image} is 0, which is read as alpha, so that there is no data; but other bands '
                    'show something there. If it is no alpha, such as infrared, choose it by --bands, or tell the '
                    f'files so: gdal_edit.py -colorinterp_4 undefined {shlex.quote(str(image))}'
                )
            if self._gone[number] > limit:
                share = self._gone[number] / self._all[number]
                notes.say(f'{share:.0%} of the ground of "{name}" is without an image (nodata), and is ignored')


def _shows_though_transparent(sample: Sample) -> np.ndarray:
    """Which pixels of a tile of an image with an alpha band are not black: H×W, or False for all."""
    with sample.open() as picture:
        if not picture.alpha:
            return np.zeros((sample.height, sample.width), bool)
        return (picture.numbers(sample.window) > _BLACK).any(-1)
