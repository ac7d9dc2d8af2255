"""Writing checkpoint files whole, and of plain types."""

import io
import zipfile
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook
from mmengine.logging import HistoryBuffer, print_log
from torch import Tensor

from mmest.checkpoints.seal import sealed
from mmest.files import whole_file, write_bytes

_HISTORY = 'history_buffer'
_BACKEND = 'mmest'


@register_backend(_BACKEND)
class SealedLocalBackend(LocalBackend):
    """mmengine's local storage, except that a file appears under its name only when it is whole and on the disk, and
    that it carries a seal, by which damage is noticed.

    Args:
        outdated: files to be removed as soon as the next one is whole. mmengine removes a checkpoint before it writes
            the one in its place, of which nothing may come; it makes a storage for each file, and they share the list.
    """

    def __init__(self, outdated: list[str] | None = None) -> None:
        self._outdated = outdated

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write the bytes of a checkpoint to a file."""
        parts = sealed(obj) if zipfile.is_zipfile(io.BytesIO(obj)) else [obj]
        write_bytes(Path(filepath), *parts, durable=True)
        while self._outdated:
            path = Path(self._outdated.pop())
            if path != Path(filepath):
                path.unlink(missing_ok=True)

    def remove(self, filepath: str | Path) -> None:
        """Remove a file, at once or when the next one is whole."""
        if self._outdated is None:
            super().remove(filepath)
        else:
            self._outdated.append(str(filepath))


def write_sealed(hook: CheckpointHook, out_dir: str) -> None:
    """Have mmengine's hook write its checkpoints by :class:`SealedLocalBackend`, where they go to a local folder."""
    if hook.backend_args is None and hook.file_client_args is None and '://' not in str(hook.out_dir or out_dir):
        hook.backend_args = dict(backend=_BACKEND, outdated=[])


def save_file(checkpoint: dict, path: Path) -> None:
    """Write a checkpoint whole and sealed."""
    with io.BytesIO() as stream:
        torch.save(checkpoint, stream)
        SealedLocalBackend().put(stream.getvalue(), path)


def save_tensors(content: Any, path: Path) -> None:
    """Write what is too large to be in memory twice, and no checkpoint, so without a seal.

    Raises:
        OSError: the system refuses. torch has an error of its own in its place.
    """
    with whole_file(path) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def is_complete(filename: str | Path) -> bool:
    """Whether a checkpoint file is there with its end, where a zip file keeps its table of contents."""
    return zipfile.is_zipfile(filename)


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
