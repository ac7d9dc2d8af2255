"""Records of cells as they lie on disk, where a full disk or a copy that broke off may have cut them."""

import json
from pathlib import Path


def read_record(path: Path) -> dict | None:
    """The record of a cell; None where there is none, or none that can be read."""
    try:
        return _record(path)
    except (FileNotFoundError, ValueError):
        return None


def read_folder(folder: Path) -> tuple[list[dict], list[Path]]:
    """The records in a folder, and its files that should be JSON and are not."""
    records, cut = [], []
    for path in sorted(folder.glob('*.json')):
        try:
            record = _record(path)
        except ValueError:
            cut.append(path)
        else:
            records += [record] if record else []
    return records, cut


def _record(path: Path) -> dict | None:
    """None where it is JSON of something else."""
    content = json.loads(path.read_text(encoding='utf-8'))
    return content if isinstance(content, dict) and 'failed' in content else None
