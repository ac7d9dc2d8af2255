"""What decoders raise, said of the file that they read, and images of any size."""

import contextlib
import threading
from collections.abc import Iterator

from PIL import Image, UnidentifiedImageError

from mmest.pictures.formats import FORMATS
from mmest.pictures.problems import UnusableImage


class _PilLimit:
    """PIL's limit, one of the whole process: the last of the threads that lift it restores it."""

    def __init__(self) -> None:
        self.lock, self.users, self.value = threading.Lock(), 0, Image.MAX_IMAGE_PIXELS


_PIL_LIMIT = _PilLimit()


@contextlib.contextmanager
def damage_of(name: str) -> Iterator[None]:
    """Say of which file a decoder speaks.

    Raises:
        UnusableImage: in place of whatever the decoder raised.
    """
    try:
        yield
    except UnusableImage:
        raise
    except UnidentifiedImageError as error:
        raise UnusableImage(name, f'is not a whole image of a known format ({", ".join(FORMATS)}).') from error
    except MemoryError as error:
        raise UnusableImage(name, 'does not fit into memory; cut it into tiles.') from error
    except Exception as error:  # of damaged files decoders raise anything
        raise UnusableImage(name, f'is not a whole image: {error or type(error).__name__}') from error


@contextlib.contextmanager
def any_size() -> Iterator[None]:
    """Have PIL open images of any size: :func:`check_pixels` decides, where PIL takes large ones for an attack."""
    with _PIL_LIMIT.lock:
        if not _PIL_LIMIT.users:
            _PIL_LIMIT.value, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _PIL_LIMIT.users += 1
    try:
        yield
    finally:
        with _PIL_LIMIT.lock:
            _PIL_LIMIT.users -= 1
            if not _PIL_LIMIT.users:
                Image.MAX_IMAGE_PIXELS = _PIL_LIMIT.value
