"""Work on a picture, tile by tile, that may take turns with other work."""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TypeAlias

#: Stops after each tile; returns the files that were written.
Steps: TypeAlias = Generator[None, None, list[Path]]


def finish(steps: Steps, progress: Callable[[], None]) -> list[Path]:
    """Go through to the end, and call ``progress`` after each tile; the files that were written."""
    return in_turns([steps], progress)


def in_turns(works: Sequence[Steps], progress: Callable[[], None]) -> list[Path]:
    """Go through several works, a tile of each in turn; the files that they wrote, in their order."""
    written: dict[int, list[Path]] = {}
    while len(written) < len(works):
        for number, steps in enumerate(works):
            if number not in written:
                try:
                    next(steps)
                    progress()
                except StopIteration as end:
                    written[number] = end.value
    return [path for number in sorted(written) for path in written[number]]
