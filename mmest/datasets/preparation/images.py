"""Reading pictures whole or not at all, and writing tiles of them."""

import contextlib
import fcntl
import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmest.datasets.preparation.problems import DamagedInput
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import HIDDEN
from mmest.files import write_bytes
from mmest.tiles.grid import Box

# Pictures of this many pixels are opened by one process at a time, so that memory does not grow with the processes: PIL
# holds four bytes a pixel.
LARGE = 64_000_000


@contextlib.contextmanager
def open_picture(file: SourceFile, out: Path) -> Iterator[Image.Image]:
    """A picture, decoded to its end.

    Args:
        file: where it is.
        out: the output folder, for the lock that all processes share; see ``LARGE``.

    Raises:
        DamagedInput: it is no picture, or is cut off.
    """
    # The largest pictures of these data sets have 400 million pixels, which PIL takes for an attack.
    Image.MAX_IMAGE_PIXELS = None
    content = file.read()
    with contextlib.ExitStack() as stack:
        try:
            picture = stack.enter_context(Image.open(io.BytesIO(content)))
            if picture.width * picture.height >= LARGE:
                fcntl.flock(stack.enter_context((out / HIDDEN / 'lock').open('a')), fcntl.LOCK_EX)
            picture.load()
        except (OSError, SyntaxError, ValueError) as error:
            # PIL reports most kinds of damage as OSError, broken PNG chunks as SyntaxError.
            raise DamagedInput(f'is not a whole picture ({error})') from error
        yield picture


def crop(picture: Image.Image, box: Box | None = None) -> np.ndarray:
    """A tile of a picture, or all of it, as H×W×3 RGB."""
    return np.asarray((picture.crop(box) if box else picture).convert('RGB'))


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Write H×W class numbers, or H×W×3 RGB, whole."""
    if pixels.ndim == 3:
        pixels = pixels[..., ::-1]
    write_bytes(path, cv2.imencode('.png', pixels)[1].tobytes())
