"""Numbered steps, notes and a one-line progress bar on the terminal or in a log."""

import shutil
import sys
import time
from collections.abc import Sequence
from typing import TextIO


def clock(seconds: float) -> str:
    """Seconds as `m:ss`."""
    minutes, rest = divmod(int(seconds), 60)
    return f'{minutes}:{rest:02d}'


class Progress:
    """One line that grows with the work; on a terminal it is rewritten, in a log a new line is printed every 5 %.

    Args:
        label: What is being done.
        stream: Where the line goes.
    """

    def __init__(self, label: str, stream: TextIO = sys.stdout) -> None:
        self.label, self.stream = label, stream
        self.start = time.monotonic()
        self._next_share = 0.0
        self._first: tuple[float, float] | None = None  # time and count of the first update
        self._next_status = 15.0
        self._open = False

    def update(self, done: float, total: float) -> None:
        """Show that `done` of `total` is finished; the rest is estimated from the time spent so far."""
        share, elapsed = done / total, time.monotonic() - self.start
        counts = f'{done:.0f}/{total:.0f}'.rjust(2 * len(f'{total:.0f}') + 1)
        self._first = self._first or (elapsed, done)
        gone, gained = elapsed - self._first[0], done - self._first[1]
        # The first few say little about the rest.
        left = f', about {clock(gone * (total - done) / gained)} left' if gained >= 4 and done < total else ''
        text = f'{counts} {share:4.0%}  {clock(elapsed)}{left}'
        if self.stream.isatty():
            filled = int(24 * share)
            self._rewrite(f'      {self.label} [{"#" * filled}{"." * (24 - filled)}] {text}')
        elif share >= self._next_share:
            self._next_share = int(share * 20) / 20 + 0.05
            self._print(f'      {self.label} {text}')

    def status(self, text: str) -> None:
        """Show what is going on where nobody knows how much is left; in a log, every quarter of a minute."""
        elapsed = time.monotonic() - self.start
        text = f'      {self.label} {clock(elapsed)}  {text}'
        if self.stream.isatty():
            self._rewrite(text)
        elif elapsed >= self._next_status:
            self._next_status = elapsed + 15
            self._print(text[:120])

    def close(self) -> None:
        """End the line, so that the next output starts on a new one."""
        if self._open:
            self._rewrite('')
            print('\r', end='', file=self.stream, flush=True)
            self._open = False

    def _rewrite(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        print('\r' + text[:width].ljust(width), end='', file=self.stream, flush=True)
        self._open = True

    def _print(self, text: str) -> None:
        print(text, file=self.stream, flush=True)


class Steps:
    """The numbered steps of the set-up.

    Args:
        titles: What each step does, in order.
    """

    def __init__(self, titles: Sequence[str]) -> None:
        self.titles = list(titles)
        self.start = time.monotonic()
        self.number = 0

    def begin(self) -> None:
        """Announce the next step."""
        self.number += 1
        print(
            f'[{clock(time.monotonic() - self.start)}] step {self.number} of {len(self.titles)}: '
            f'{self.titles[self.number - 1]}',
            flush=True,
        )

    def end(self, result: str) -> None:
        """Say what the step that ran last came to, and what follows it."""
        following: str | None = self.titles[self.number] if self.number < len(self.titles) else None
        print(f'      {result}' + (f'  (next: {following})' if following else ''), flush=True)


def note(text: str) -> None:
    """Print one indented line below the current step."""
    print(f'      {text}', flush=True)
