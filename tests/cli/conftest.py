from collections.abc import Callable

import pytest

from mmest.cli import main


@pytest.fixture
def mmest() -> Callable:
    """Runs ``mmest NAME ...`` in this process; returns its exit status: a sentence where it refuses."""

    def call(*args) -> object:
        try:
            main([str(arg) for arg in args])
        except SystemExit as end:
            return end.code
        return 0

    return call
