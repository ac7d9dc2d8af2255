"""What a data set says that its config does not: annotations, and files that may have changed in their place."""

import hashlib
import json
import os
from typing import Any

from mmengine.registry import DATASETS, DefaultScope

_FILES = ('img_path', 'seg_map_path')
_known: dict[str, str] = {}


def data_digest(dataset: dict, scope: str) -> str:
    """Digest of a data set's annotations and of the sizes and times of its images and masks, so that what was made of
    them is not used once somebody has corrected a box or a mask.

    Args:
        dataset: its config. A process looks once at each: many trainings have the same, and that takes a while.
        scope: the default scope of its config.
    """
    key = json.dumps(dataset, default=str)
    if key not in _known:
        with DefaultScope.overwrite_default_scope(scope):
            _known[key] = _digest(DATASETS.build(dataset))
    return _known[key]


def _digest(dataset: Any) -> str:
    digest = hashlib.sha256()
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        stats = [os.stat(info[name]) for name in _FILES if info.get(name)]
        said = [info, [(stat.st_size, stat.st_mtime_ns) for stat in stats]]
        digest.update(json.dumps(said, sort_keys=True, default=_plain).encode())
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, 'tolist') else str(value)
