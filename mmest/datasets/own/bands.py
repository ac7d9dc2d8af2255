"""Which bands of images training sees."""

from mmest.datasets.own.sample import OwnData
from mmest.pictures.formats import ENDINGS_OF

_MANY = (*ENDINGS_OF['TIFF'], *ENDINGS_OF['JPEG2000'])  # other formats have no bands but RGB and alpha


def say_unseen_bands(data: OwnData) -> None:
    """Count the images of which only the first three bands are taken, those whose fourth is read as alpha, and those
    of which none can be chosen, in the notes.

    Raises:
        UnusableImage: an image cannot be read.
    """
    for path, sample in sorted({one.image: one for one in data.samples}.items()):
        if path.suffix.lower() not in _MANY:
            if sample.bands:
                data.notes.count('images that are no TIFF or JPEG 2000: --bands leaves them as they are', path.name)
            continue
        with sample.open() as image:
            if image.unseen:
                data.notes.count(
                    'images of which only the first three bands are taken, as RGB (others: --bands)', path.name
                )
            if image.alpha:
                data.notes.count(
                    'images whose fourth band is read as alpha: where it is 0 there is no data (of infrared that is '
                    'called so, choose it by --bands, or tell the file: gdal_edit.py -colorinterp_4 undefined FILE)',
                    path.name,
                )
