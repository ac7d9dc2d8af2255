"""Files that appear under their name only when they are whole."""
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes) -> None:
    """Write beside the file and rename it; folders on the way are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f'{path.name}.part{os.getpid()}')
    beside.write_bytes(content)
    os.replace(beside, path)


def write_json(path: Path, record: Any, indent: int | None = 1) -> None:
    """Write JSON as :func:`write_bytes` does."""
    write_bytes(path, (json.dumps(record, indent=indent) + '\n').encode())


def write_zip(path: Path, contents: dict[str, bytes]) -> None:
    """Write an archive of files without folders as :func:`write_bytes` does; equal contents give equal bytes."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    write_bytes(path, stream.getvalue())
