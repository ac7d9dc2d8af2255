"""Reading and writing checkpoint files safely, on every path of mmengine.

Importing this module puts two things in place of mmengine's own: local files are written beside and renamed, so a file
that exists is complete; and local checkpoints that cannot be read give a sentence that says why.
"""

import os
import pickle
import zipfile
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import HistoryBuffer, print_log
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor
from torch.serialization import safe_globals

from mmest.files import beside

# What mmengine itself puts into a checkpoint beside plain types: curves of logged values, NumPy arrays and scalars.
_MMENGINE_TYPES = (
    [HistoryBuffer, np.ndarray, np.dtype]
    + [type(np.dtype(kind)) for kind in ('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', '?')]
    + [
        (function, f'{module}.{name}')
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
        for name, function in (('_reconstruct', np.zeros(1).__reduce__()[0]), ('scalar', np.float64(0).__reduce__()[0]))
    ]
)
_HISTORY = 'history_buffer'


class AtomicLocalBackend(LocalBackend):
    """mmengine's local storage, except that a file appears under its name only when it is whole."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file."""
        part = beside(filepath)
        try:
            super().put(obj, part)
            os.replace(part, filepath)
        finally:
            part.unlink(missing_ok=True)


register_backend('local', AtomicLocalBackend, force=True, prefixes='')


def is_complete(filename: str | Path) -> bool:
    """Whether a checkpoint file is there with its end, where a zip file keeps its table of contents."""
    return zipfile.is_zipfile(filename)


@CheckpointLoader.register_scheme(prefixes='', force=True)
def load_from_local(filename: str, map_location: Any) -> dict:
    """Load a checkpoint from a local file, admitting plain types and those that mmengine puts into checkpoints.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is truncated, or holds what is not safe to load.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'There is no checkpoint file "{filename}".')
    try:
        with safe_globals(_MMENGINE_TYPES):
            return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        if 'Unsupported' in str(error) or 'Weights only' in str(error) and is_complete(path):
            raise ValueError(f'"{filename}" holds Python objects that are not safe to load: {error}') from error
        raise ValueError(f'"{filename}" ({path.stat().st_size:,} bytes) is not a checkpoint, or is damaged.') from error
    except Exception as error:  # torch raises whatever its unpickler meets, by what is there and where it ends
        raise ValueError(
            f'"{filename}" ({path.stat().st_size:,} bytes) is truncated or damaged and cannot be loaded; '
            'copy it again or take an earlier checkpoint.'
        ) from error


def to_plain(value: Any, where: str = '') -> Any:
    """Turn a part of an mmengine checkpoint into plain Python types and tensors.

    What has no plain form is left out and said.
    """
    if value is None or isinstance(value, (bool, int, float, str, bytes, Tensor)) and not isinstance(value, np.generic):
        return value
    if isinstance(value, HistoryBuffer):
        log, count = value.data
        return {_HISTORY: [torch.as_tensor(log), torch.as_tensor(count), value.max_length]}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return torch.as_tensor(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, dict):
        plain = {key: to_plain(item, f'{where}.{key}') for key, item in value.items()}
        return {key: item for key, item in plain.items() if item is not None or value[key] is None}
    if isinstance(value, (list, tuple, set, deque)):
        kind = tuple if isinstance(value, tuple) else list
        return kind(to_plain(item, where) for item in value)
    print_log(
        f'{where.strip(".")} of type {type(value).__name__} is left out of the checkpoint: it has no plain form.',
        logger='current',
        level=30,
    )
    return None


def curves_from_plain(log_scalars: dict) -> dict:
    """Undo :func:`to_plain` for the logged curves of a message hub."""

    def curve(value: Any) -> HistoryBuffer | None:
        if not isinstance(value, dict) or _HISTORY not in value:
            return value
        log, count, max_length = value[_HISTORY]
        return HistoryBuffer(log.cpu().numpy(), count.cpu().numpy(), max_length)

    return {name: curve(value) for name, value in log_scalars.items()}
