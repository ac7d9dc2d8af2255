"""Files that appear under their name only when they are whole."""
import json
import os
import re
from pathlib import Path
from typing import Any, Union


def beside(path: Union[str, Path]) -> Path:
    """The name under which this process writes a file before it is renamed."""
    return Path(f'{path}.part{os.getpid()}')


def write_json(path: Path, record: Any) -> None:
    """Write JSON beside the file and rename it; folders on the way are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside(path).write_text(json.dumps(record, indent=1) + '\n')
    os.replace(beside(path), path)


def remove_leftovers(folder: Union[str, Path]) -> None:
    """Remove the half-written files that killed processes left in a folder; those of processes that run are spared."""
    for path in Path(folder).glob('*.part*'):
        process = re.fullmatch(r'.+\.part(\d+)', path.name)
        if process and not _runs(int(process[1])):
            path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if process == os.getpid():
        return False  # a number used again: nothing is being written yet by the one that asks
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
