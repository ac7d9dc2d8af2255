"""Live memory at every operator of a training step."""

from typing import NamedTuple

from .categories import CATEGORIES
from .live import LiveTensorCounter


class Moment(NamedTuple):
    """When an operator had just returned: what ran, and the live bytes of each of :data:`CATEGORIES`."""

    phase: str
    part: str
    module: str
    operator: str
    nbytes: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.nbytes)


class Timeline:
    """The moments of a training step, in their order."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []

    def follow(self, counter: LiveTensorCounter) -> None:
        """Note every operator of a counter from now on."""

        def note() -> None:
            self.moments.append(
                Moment(
                    counter.phase,
                    counter.part,
                    counter.module,
                    counter.operator,
                    tuple(counter.totals[name] for name in CATEGORIES),
                )
            )

        counter.after_operator = note
