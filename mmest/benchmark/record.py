"""Records of cells as they lie on disk, where a full disk or a copy that broke off may have cut them."""

import json
from pathlib import Path


def read_record(path: Path) -> dict | None:
    """The record of a cell; None where there is none, or none that can be read."""
    try:
        record = json.loads(path.read_text(encoding='utf-8'))
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) and 'failed' in record else None


def cut_files(folder: Path) -> list[Path]:
    """JSON files of a folder that are none."""
    return [path for path in sorted(folder.glob('*.json')) if not _is_json(path)]


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding='utf-8'))
    except ValueError:
        return False
    return True
