"""Everything that libraries say goes to a log file; the terminal is left to mmest."""

import contextlib
import io
import logging
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from mmengine.logging import MMLogger

_PACKAGE = str(Path(__file__).resolve().parents[1])
_COLOURS = re.compile(r'\x1b\[[\d;]*m')


class LogFile(io.TextIOBase):
    """A stream without colours, which is kept in memory until its file is opened.

    A command that refuses before it has made anything leaves no file behind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: TextIO | io.StringIO = io.StringIO()

    def open(self) -> None:
        """Begin to write to the file, after what it holds from earlier runs."""
        if isinstance(self._file, io.StringIO):
            text = self._file.getvalue()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open('a', encoding='utf-8', buffering=1)
            self._file.write(text)

    def write(self, text: str) -> int:
        self._file.write(_COLOURS.sub('', text))
        return len(text)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # lines that a full disk did not take, which has been said
            self._file.close()


class _Notes(logging.Handler):
    """Hands on the warnings that mmest itself gives."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__(logging.WARNING)
        self._show = show

    def emit(self, record: logging.LogRecord) -> None:
        if _speaker().startswith(_PACKAGE):
            self._show(record.getMessage())


def _speaker() -> str:
    """The file that logs: the first on the stack that is of no logging module."""
    frame = sys._getframe(1)
    while frame is not None and (frame.f_code.co_filename == __file__ or 'logging' in frame.f_code.co_filename):
        frame = frame.f_back
    return frame.f_code.co_filename if frame is not None else ''


def show_notes(show: Callable[[str], None]) -> None:
    """Give ``show`` the warnings of mmest itself that the current logger of mmengine is given."""
    MMLogger.get_current_instance().addHandler(_Notes(show))


@contextlib.contextmanager
def all_to(log: LogFile) -> Iterator[None]:
    """What is printed, warned of or logged inside goes to a log file alone."""
    terminal, others = sys.stdout, logging.StreamHandler(log)
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log), warnings.catch_warnings():
        _write_to(log)
        logging.getLogger().addHandler(others)
        try:
            yield
        finally:
            logging.getLogger().removeHandler(others)
            _write_to(terminal)


def _write_to(stream: TextIO | LogFile) -> None:
    """Have the current logger of mmengine, which keeps the stream that it was made with, write to another."""
    for handler in list(MMLogger.get_current_instance().handlers):
        if type(handler) is logging.StreamHandler:
            handler.setStream(stream)
        elif isinstance(handler, _Notes) and not isinstance(stream, LogFile):
            MMLogger.get_current_instance().removeHandler(handler)
