"""Places that a command writes to, looked at before the work: what is computed for hours is not lost at its end."""

import argparse
import os
from pathlib import Path

from mmest.cli._refusal import Refusal


def file_to_write(text: str) -> Path:
    """A file that can be written, as the type of an argument."""
    if os.path.exists(text) and not os.path.isfile(text):
        raise argparse.ArgumentTypeError(
            f'{text} is a {"folder" if os.path.isdir(text) else "device"}; name a file to write'
        )
    _refuse_what_takes_no_files(Path(text).absolute().parent)
    return Path(text)


def default_to_write(path: Path) -> Path:
    """The file of an --out that was not given.

    Raises:
        Refusal: it cannot be written.
    """
    try:
        return file_to_write(str(path))
    except argparse.ArgumentTypeError as error:
        raise Refusal(f'{error}. Name another place by --out.') from None


def folder_to_write(text: str) -> Path:
    """A folder that can be written to, or made, as the type of an argument."""
    _refuse_what_takes_no_files(Path(text).absolute())
    return Path(text)


def _refuse_what_takes_no_files(folder: Path) -> None:
    place = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not os.path.exists(place):
        raise argparse.ArgumentTypeError(f'{place} is a link to {os.readlink(place)}, which is not there')
    if not place.is_dir():
        raise argparse.ArgumentTypeError(f'{place} is a file, and no folder')
    if not os.access(place, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(f'nothing can be written to {place}')
