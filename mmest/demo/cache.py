"""Results of finished parts, so that a second demo shows them at once."""
import hashlib
import json
from pathlib import Path


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
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / 'result.json', json.dumps(dict(key=key, result=result), indent=2) + '\n')


def write_atomically(path: Path, text: str) -> None:
    """Write a text file beside its place, then rename it."""
    beside = path.with_name(f'.{path.name}.part')
    beside.write_text(text)
    beside.replace(path)
