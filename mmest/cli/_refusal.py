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
        raise Refusal(str(error)) from error
