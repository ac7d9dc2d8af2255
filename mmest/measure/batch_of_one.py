"""Heads that cannot take one image in a step."""

from collections.abc import Iterator
from contextlib import contextmanager


def lone_values(error: BaseException) -> bool:
    """Whether an error is of a norm over a batch of one image whose map is one pixel, as UPerHead and ASPP pool it."""
    return str(error).startswith('Expected more than 1 value per channel when training')


@contextmanager
def explaining_batches_of_one() -> Iterator[None]:
    """Put around a step: what a head cannot do with one image is said with the option that mends it.

    Raises:
        ValueError: the head norms over a batch of one image that it pools to one pixel, as UPerHead does.
    """
    try:
        yield
    except ValueError as error:
        if lone_values(error):
            raise ValueError(
                'The head pools each image to one pixel, and a batch norm behind that needs two: take --batch-size 2.'
            ) from error
        raise
