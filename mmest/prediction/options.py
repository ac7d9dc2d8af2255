"""Which options a result was made with: its overlay says so, for a later run that goes on."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

_KEY = 'mmest_options'
_CHUNK = 1 << 22


def digest_of(path: Path) -> str:
    """SHA-256 (first 16 hex digits) of a file."""
    found = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()[:16]


def png_with(options: Mapping[str, Any], pixels: np.ndarray) -> bytes:
    """H×W×3 RGB pixels as a PNG, with options by name, as JSON takes them, in its text."""
    stream, text = io.BytesIO(), PngInfo()
    text.add_text(_KEY, json.dumps(options))
    Image.fromarray(pixels).save(stream, 'PNG', compress_level=1, pnginfo=text)
    return stream.getvalue()


def refuse_other_options(overlay: Path, options: Mapping[str, Any]) -> None:
    """A run goes on with the options of the results that are there.

    Args:
        overlay: of one of them.
        options: those of this run, by name.

    Raises:
        ValueError: the result was made with others, or does not say with which.
    """
    with Image.open(overlay) as image:
        told = image.info.get(_KEY)
    if told is None:
        raise ValueError(f'{overlay} does not say with which options it was made{_WAY_OUT}')
    before, now = json.loads(told), json.loads(json.dumps(options))
    for name in [*now, *(name for name in before if name not in now)]:
        if before.get(name) != now.get(name):
            raise ValueError(
                f'{overlay} was made with {_words(name, before.get(name))}, and this run has '
                f'{_words(name, now.get(name))}: give the options of that run{_WAY_OUT}'
            )


_WAY_OUT = ', name another folder by --out, or pass --overwrite instead of --resume.'


def _words(name: str, value: Any) -> str:
    if value is None:
        return f'no {name}'
    return f'{name} {json.dumps(value) if isinstance(value, list) else value}'
