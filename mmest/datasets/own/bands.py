"""Bands of images that training does not see."""

from mmest.datasets.own.sample import OwnData
from mmest.pictures import ImageFile
from mmest.pictures.formats import ENDINGS_OF

_MANY = (*ENDINGS_OF['TIFF'], *ENDINGS_OF['JPEG2000'])  # other formats have no bands but RGB and alpha


def say_unseen_bands(data: OwnData) -> None:
    """Count the images of which only the first three bands are taken, and those whose fourth is read as alpha, in the
    notes.

    Raises:
        UnusableImage: an image cannot be read.
    """
    for path in sorted({sample.image for sample in data.samples if sample.image.suffix.lower() in _MANY}):
        with ImageFile(path, scale=(0, 1)) as image:
            if image.unseen:
                data.notes.count('images of which only the first three bands are taken, as RGB', path.name)
            if image.alpha:
                data.notes.count(
                    'images whose fourth band is read as alpha: where it is 0 there is no data (of infrared that is '
                    'called so, tell the file: gdal_edit.py -colorinterp_4 undefined FILE)',
                    path.name,
                )
