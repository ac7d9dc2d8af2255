"""One rule for what is loaded, wherever it lies: tensors and plain types, and nothing that runs.

A checkpoint is a pickle, which may name any function to be called, or a safetensors file, which cannot. torch can keep
to tensors and plain types; mmengine asks it to for none of its schemes (torch 2.6 and later do by themselves for local
files, never for URLs). The rule holds where mmest loads, and where mmengine loads a model with a tuned backbone; all
else loads as if mmest were not there.
"""

import functools
import os
import pickle
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint
from torch import nn
from torch.serialization import add_safe_globals, clear_safe_globals, get_safe_globals

from mmest.checkpoints.arrays import arrays_to_tensors
from mmest.checkpoints.safetensors import is_safetensors, read_safetensors
from mmest.checkpoints.seal import broken

#: The environment variable that turns the rule off, for sources that are trusted.
TRUST = 'MMEST_TRUST_CHECKPOINTS'
_FORCE, _FORBID = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_YES = ('1', 'y', 'yes', 'true')


def trusted() -> bool:
    """Whether checkpoints may run code: :data:`TRUST` is set to 1."""
    return os.environ.get(TRUST, '').lower() in _YES


def trust() -> None:
    """Let checkpoints run code from here on, in this process and those that it starts."""
    os.environ[TRUST] = '1'


def _named(path: str, function: Callable) -> Callable:
    """A function under the name that a pickle calls it by; every version of torch looks for that."""
    module, _, name = path.rpartition('.')

    def call(*args: Any) -> Any:
        return function(*args)

    call.__module__, call.__name__, call.__qualname__ = module, name, name
    return call


def _statistic(owner: Any, name: str) -> Callable:
    """What mmengine's history buffers pickle their methods by: ``getattr``, for that class and nothing else."""
    if owner is not HistoryBuffer or not isinstance(name, str) or name.startswith('_'):
        raise pickle.UnpicklingError(f'Unsupported global: GLOBAL builtins.getattr of {owner!r} and {name!r}')
    return getattr(HistoryBuffer, name)


# What mmengine itself puts into a checkpoint beside plain types: curves of logged values, NumPy arrays and scalars.
_MMENGINE_TYPES = (
    [HistoryBuffer, np.ndarray, np.dtype, _named('builtins.getattr', _statistic)]
    + [type(np.dtype(kind)) for kind in ('f2', 'f4', 'f8', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', '?')]
    + [
        _named(f'{module}.{name}', function)
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
        for name, function in (('_reconstruct', np.zeros(1).__reduce__()[0]), ('scalar', np.float64(0).__reduce__()[0]))
    ]
)

_kinds: list[type] = []
_held = False
_lock = threading.RLock()
_inside = 0
_changes = ExitStack()


@contextmanager
def safe_loading() -> Iterator[None]:
    """Within it everything that torch and mmengine load in this process is held to the rule, or, where
    :data:`TRUST` says so, to none; files that cannot be loaded get a sentence.
    """
    global _inside
    with _lock:
        if not _inside:
            _change()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _changes.close()
                _hold()


def _change() -> None:
    set_, unset = (_FORBID, _FORCE) if trusted() else (_FORCE, _FORBID)
    for name, value in ((set_, '1'), (unset, None)):
        _changes.callback(_set_variable, name, os.environ.get(name))
        _set_variable(name, value)
    known = get_safe_globals()
    ours = [kind for kind in _MMENGINE_TYPES if kind not in known]
    _changes.callback(_forget, ours)
    add_safe_globals(ours)
    schemes = CheckpointLoader._schemes
    _changes.callback(setattr, CheckpointLoader, '_schemes', schemes)
    CheckpointLoader._schemes = type(schemes)((prefix, _explained(loader)) for prefix, loader in schemes.items())


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _forget(ours: list) -> None:
    others = [kind for kind in get_safe_globals() if kind not in ours]
    clear_safe_globals()
    add_safe_globals(others)


def _explained(loader: Callable) -> Callable:
    """A loader of one of mmengine's schemes that says why something cannot be loaded."""

    @functools.wraps(loader)
    def load(filename: str, map_location: Any = None) -> Any:
        path = None if '://' in str(filename) else Path(filename).expanduser()
        if path is not None:
            _look_at(path)
        elif urlparse(str(filename)).path.endswith('.safetensors'):  # torch keeps all of one name for one file
            raise ValueError(
                f'"{filename}" is a safetensors file, which is read from a disk: fetch it and name the file.'
            )
        what = f'"{filename}"' + (f' ({path.stat().st_size:,} bytes)' if path else '')
        if path is not None and path.suffix == '.safetensors' and not is_safetensors(path):  # torch goes by the name
            raise ValueError(
                f'{what} is no safetensors file, or is damaged: copy it again, or, if torch wrote it, name it .pth.'
            )
        try:
            if path is not None and is_safetensors(path):
                content = read_safetensors(path)
            else:
                content = loader(filename, map_location)
        except pickle.UnpicklingError as error:
            _explain_pickle(error, filename, what)
        except ImportError:
            raise
        except Exception as error:  # torch raises whatever its unpickler meets, by what is there and where it ends
            if path is None and isinstance(error, OSError):  # the URLErrors of a download
                raise FileNotFoundError(f'"{filename}" could not be read: {error}') from error
            raise ValueError(
                f'{what} is truncated or damaged and cannot be loaded ({type(error).__name__}); copy it again or take '
                'an earlier checkpoint.'
            ) from error
        _check_parts(content, filename)
        arrays_to_tensors(content)
        return content

    return load


def hold_models_to_the_rule(kind: type) -> None:
    """From now on mmengine loads models with a module of a class (a tuned backbone) by the rule, whoever asks it to."""
    with _lock:
        if kind not in _kinds:
            _kinds.append(kind)
        if not _inside:  # otherwise where safe_loading ends
            _hold()


def _hold() -> None:
    global _held
    if _kinds and not _held:
        _held = True
        for prefix, loader in list(CheckpointLoader._schemes.items()):
            CheckpointLoader.register_scheme(prefix, _for_our_models(loader), force=True)


def _for_our_models(loader: Callable) -> Callable:
    explained = _explained(loader)

    @functools.wraps(loader)
    def load(filename: str, map_location: Any = None) -> Any:
        if _inside or not _loads_our_model():
            return loader(filename, map_location)
        with safe_loading():
            return explained(filename, map_location)

    return load


def _loads_our_model() -> bool:
    """Whether what is loaded is for a model of ours. mmengine does not tell its loaders: its own callers know."""
    frame = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get('self')
        model = getattr(owner, 'model', None) if isinstance(owner, Runner) else None
        if frame.f_code is load_checkpoint.__code__:
            model = frame.f_locals['model']
        if isinstance(model, nn.Module) and any(isinstance(module, tuple(_kinds)) for module in model.modules()):
            return True
        frame = frame.f_back
    return False


def _look_at(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f'There is no checkpoint file "{path}".')
    with path.open('rb') as file:
        head = file.read(64)
    if head and all(byte in b'\t\n\r' or 32 <= byte < 127 for byte in head):
        raise ValueError(f'"{path}" ({path.stat().st_size:,} bytes) is not a checkpoint, or is damaged: it holds text.')
    if broken(path):
        raise ValueError(
            f'"{path}" ({path.stat().st_size:,} bytes) is truncated or damaged: its bytes are not those that were '
            'written. Copy it again or take an earlier checkpoint.'
        )


def _explain_pickle(error: pickle.UnpicklingError, filename: str, what: str) -> None:
    named = re.search(r'GLOBAL (?:`)?([\w.]+)', str(error)) or re.search(r'function (.+?)[\s>]', str(error))
    if named or 'blocked' in str(error):
        raise ValueError(
            f'"{filename}" holds Python objects that are not safe to load{f" ({named[1]})" if named else ""}: loading '
            f'them can run code. If you trust where it comes from, pass --trust-checkpoint or set {TRUST}=1.'
        ) from error
    raise ValueError(f'{what} is not a checkpoint, or is damaged.') from error


def _check_parts(content: Any, filename: str) -> None:
    """The parts of a checkpoint that everything reads are of their kinds."""
    if not isinstance(content, Mapping):
        return  # what is no checkpoint at all is told by what was to be found in it
    kinds = dict(state_dict=Mapping, meta=Mapping, message_hub=Mapping)
    kinds = {name: (content[name], kind) for name, kind in kinds.items() if name in content}
    if isinstance(content.get('meta'), Mapping):
        inner = dict(cfg=str, epoch=int, iter=int, dataset_meta=(Mapping, type(None)))
        kinds.update(
            {f'meta.{name}': (content['meta'][name], kind) for name, kind in inner.items() if name in content['meta']}
        )
    for name, (value, kind) in kinds.items():
        if not isinstance(value, kind):
            raise ValueError(
                f'"{filename}" is damaged: its {name} should be a {_word(kind)}, but it is {type(value).__name__}. '
                'Copy it again or take an earlier checkpoint.'
            )


def _word(kind: Any) -> str:
    return {str: 'text', int: 'number'}.get(kind, 'table of names and values')


def load_file(source: str | Path, map_location: Any = 'cpu') -> Any:
    """Load a checkpoint by any of mmengine's schemes under the rule.

    Args:
        source: a file, or what mmengine takes for one (``https://``, ``open-mmlab://``, ...).
        map_location: as of :func:`torch.load`.

    Raises:
        FileNotFoundError: it is not there, or cannot be fetched.
        ValueError: it is damaged, or holds what is not safe to load.
    """
    with safe_loading():
        return CheckpointLoader.load_checkpoint(str(source), map_location=map_location)
