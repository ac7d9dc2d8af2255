"""How a command refuses: with one sentence instead of a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager


class Refusal(Exception):
    """What a command says when it cannot do what was asked for."""


@contextmanager
def refusing(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of bad input become a refusal; put around what reads the input, not around the work itself.

    Args:
        *kinds: more kinds of errors than ValueError and FileNotFoundError that bad input raises here.

    Raises:
        Refusal: one of them was raised.
    """
    try:
        yield
    except (ValueError, FileNotFoundError, *kinds) as error:
        from mmest.engine.failures import lone_values

        if lone_values(error):  # of a measured step; what trains has a sentence with its own options
            error = ValueError(
                'The head pools each image to one pixel, and a batch norm behind that needs two: take --batch-size 2.'
            )
        raise Refusal(str(error)) from error
