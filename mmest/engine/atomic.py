"""Files that appear under their name only when they are whole."""
import json
import os
from pathlib import Path
from typing import Any


def write_json(path: Path, record: Any) -> None:
    """Write JSON beside the file and rename it; folders on the way are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f'{path.name}.part{os.getpid()}')
    beside.write_text(json.dumps(record, indent=1) + '\n')
    os.replace(beside, path)
