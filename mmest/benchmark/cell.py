"""A measurement that a grid asks for."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Cell:
    """One measurement.

    Attributes:
        name: file name of its record, without ``.json``.
        request: all that it is asked to do, as JSON has it.
    """

    name: str
    request: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.request['kind']

    @property
    def device(self) -> str:
        """Where it runs: that which it is asked for, or a card if there is one. Trials stay on the CPU."""
        from mmengine.device import get_device

        return 'cpu' if self.kind == 'trial' else self.request.get('device') or get_device()
