"""What a data set says that its config does not: annotations, and files that may have changed in their place."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS, DefaultScope

_FILES = ('img_path', 'seg_map_path')
_known: dict[tuple[Callable, str], str] = {}


def data_digest(dataset: dict, scope: str) -> str:
    """Digest of a data set's annotations and of the sizes and times of its images and masks, so that what was made of
    them is not used once somebody has corrected a box or a mask.

    Args:
        dataset: its config. A process looks once at each: many trainings have the same, and that takes a while.
        scope: the default scope of its config.
    """
    return _digest_by(_here, dataset, scope)


def content_digest(dataset: dict, scope: str) -> str:
    """Digest of a data set's annotations and of the names and sizes of its images and masks: the same wherever the data
    lies, so that records of several machines tell whether they are of the same.

    Args:
        dataset, scope: as of :func:`data_digest`.
    """
    return _digest_by(_anywhere, dataset, scope)[:16]


def _digest_by(say: Callable[[dict], Any], dataset: dict, scope: str) -> str:
    key = say, json.dumps(dataset, default=str)
    if key not in _known:
        with DefaultScope.overwrite_default_scope(scope):
            built = DATASETS.build(dataset)
        digest = hashlib.sha256()
        for i in range(len(built)):
            said = say(built.get_data_info(i))
            digest.update(json.dumps(said, sort_keys=True, default=_plain).encode())
        _known[key] = digest.hexdigest()
    return _known[key]


def _here(info: dict) -> list:
    stats = [os.stat(info[name]) for name in _FILES if info.get(name)]
    return [info, [(stat.st_size, stat.st_mtime_ns) for stat in stats]]


def _anywhere(info: dict) -> dict:
    files = {name: (Path(info[name]).name, os.stat(info[name]).st_size) for name in _FILES if info.get(name)}
    return {**info, **files}


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, 'tolist') else str(value)
