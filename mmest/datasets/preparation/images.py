"""Reading images whole or not at all, and writing tiles of them."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mmest.datasets.preparation.problems import DamagedInput
from mmest.datasets.preparation.source import HIDDEN, SourceFile
from mmest.files import write_bytes
from mmest.pictures import ImageFile, UnusableImage, read_mask
from mmest.tiles.grid import Box

# Images of this many pixels are opened by one process at a time, so that memory does not grow with the processes: they
# are decoded to four bytes a pixel.
LARGE = 64_000_000


@contextlib.contextmanager
def open_image(file: SourceFile, out: Path) -> Iterator[ImageFile]:
    """An image, decoded to its end.

    Args:
        file: where it is.
        out: the output folder, for the lock that all processes share; see ``LARGE``.

    Raises:
        DamagedInput: it cannot be used, or is cut off.
    """
    content = file.read()
    with contextlib.ExitStack() as stack:
        with _damage():
            image = stack.enter_context(ImageFile(content, file.place))
            if image.width * image.height >= LARGE:
                fcntl.flock(stack.enter_context((out / HIDDEN / 'lock').open('a')), fcntl.LOCK_EX)
            image.load()
        yield image


def crop(image: ImageFile, box: Box | None = None) -> np.ndarray:
    """A tile of an image, or all of it, as H×W×3 RGB.

    Raises:
        DamagedInput: it is cut off.
    """
    with _damage():
        return image.read(box)


def read_numbers(file: SourceFile) -> np.ndarray:
    """A mask whose pixels are class numbers, H×W.

    Raises:
        DamagedInput: it cannot be used, or is cut off.
    """
    try:
        return read_mask(file.read(), file.place)
    except UnusableImage as error:
        raise DamagedInput(f'has the mask {file.place}, which {error.what}') from error


@contextlib.contextmanager
def _damage() -> Iterator[None]:
    """Leave the name out of what is wrong, as the caller knows it."""
    try:
        yield
    except UnusableImage as error:
        raise DamagedInput(error.what) from error


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write H×W class numbers, or H×W×3 RGB, whole."""
    if pixels.ndim == 3:
        pixels = pixels[..., ::-1]
    write_bytes(path, cv2.imencode('.png', pixels)[1].tobytes())
