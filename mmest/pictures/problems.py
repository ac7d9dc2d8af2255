"""What is wrong with an image, and how large one may be."""

import os

# Decoded at four bytes a pixel this is 2 GB. The largest images of DOTA have 400 million pixels.
_MOST_PIXELS = 500_000_000
_VARIABLE = 'MMEST_MAX_PIXELS'


class UnusableImage(ValueError):
    """An image that cannot be used, in one sentence.

    Args:
        name: the file, or the whole sentence.
        what: what is wrong, to be read after the name.
    """

    def __init__(self, name: str, what: str = '') -> None:
        super().__init__(f'{name} {what}'.rstrip())
        self.what = what or name


def check_pixels(name: str, width: int, height: int) -> None:
    """Refuse before decoding what would take too much memory.

    Args:
        name: the file.
        width: of what is decoded at once, in pixels.
        height: the same.

    Raises:
        UnusableImage: it has more pixels than ``$MMEST_MAX_PIXELS`` (default: 500 million), or none; or the variable is
            no number.
    """
    stated = os.environ.get(_VARIABLE) or str(_MOST_PIXELS)
    if not stated.isdecimal() or int(stated) < 1:
        raise UnusableImage(f'The environment variable {_VARIABLE} should be a number of pixels, but it is "{stated}".')
    if width < 1 or height < 1:
        raise UnusableImage(name, f'states {width}×{height} pixels; an image has at least one.')
    if width * height > int(stated):
        raise UnusableImage(
            name,
            f'states {width}×{height} pixels to be decoded at once, more than the {int(stated):,} that are allowed; '
            f'cut it into tiles, or set the environment variable {_VARIABLE} to a larger number.',
        )
