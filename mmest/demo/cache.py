"""Results of finished parts, so that a second demo shows them at once."""

import hashlib
import json
from pathlib import Path

from mmest.files import write_json


def key_of(*ingredients) -> str:
    """A short hash of all that a result depends on (anything that JSON can hold)."""
    return hashlib.sha256(json.dumps(ingredients, sort_keys=True).encode()).hexdigest()[:16]


def load(folder: Path, key: str) -> dict | None:
    """The result that was stored in ``folder`` under ``key``; None if there is none or it has another key."""
    try:
        stored = json.loads((folder / 'result.json').read_text())
    except (OSError, ValueError):
        return None
    return stored['result'] if stored.get('key') == key else None


def store(folder: Path, key: str, result: dict) -> None:
    """Store a result; the file is never seen half-written."""
    write_json(folder / 'result.json', dict(key=key, result=result))
