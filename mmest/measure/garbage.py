"""Garbage collections that measurements can afford."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_new_garbage() -> Iterator[None]:
    """Collections within look at what is made within: at all that has been imported they look for a third of a second.

    If some objects are left out of all collections already, that stays as it is.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
