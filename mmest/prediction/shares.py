"""Images shared among the processes that torchrun starts, on one machine or several that see one folder."""

import datetime
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch.distributed as dist

# A process with small images waits for one with large ones.
_PATIENCE = datetime.timedelta(days=30)


@dataclass(frozen=True)
class Processes:
    """Those that work together.

    Attributes:
        rank: the number of this one, from 0.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this one speaks for all."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.count > 1:
            dist.barrier()

    def total(self, number: int) -> int:
        """The sum of what each process brings."""
        numbers = [number] * self.count
        if self.count > 1:
            dist.all_gather_object(numbers, number)
        return sum(numbers)

    def share(self, images: Sequence[Path]) -> list[Path]:
        """What of the images this process takes: each goes, the largest file first, to who has least; in the order that
        they come in.
        """
        shares: list[set[Path]] = [set() for _ in range(self.count)]
        bytes_of = [0] * self.count
        for image in sorted(images, key=lambda image: -image.stat().st_size):
            rank = bytes_of.index(min(bytes_of))
            shares[rank].add(image)
            bytes_of[rank] += image.stat().st_size
        return [image for image in images if image in shares[self.rank]]


@contextmanager
def working_together() -> Iterator[Processes]:
    """The processes of torchrun, which can wait for each other inside; otherwise this one alone."""
    count = int(os.environ.get('WORLD_SIZE', '1'))
    if count == 1 or 'MASTER_ADDR' not in os.environ:
        yield Processes()
        return
    dist.init_process_group('gloo', timeout=_PATIENCE)
    try:
        dist.barrier()  # one that refuses at once would take the group away from those that still join it
        yield Processes(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
