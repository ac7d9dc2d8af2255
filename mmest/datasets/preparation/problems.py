"""What is wrong with a download, file by file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A file, or a line of one, that could not be used."""

    place: str
    what: str

    def __str__(self) -> str:
        return f'{self.place}: {self.what}'


class DamagedInput(Exception):
    """Says what is wrong with a file; which file it is, the caller knows."""
