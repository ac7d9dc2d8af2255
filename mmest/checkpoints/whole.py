"""A model around a tuned backbone gets all of its tensors from a checkpoint, or none.

mmengine loads what fits and tells the rest to the log, on every path: ``init_detector``, ``init_model``, the
inferencers, ``Runner.test``. Here the model itself looks, by hooks that torch and mmengine call while they load.
torch's own ``load_state_dict(strict=False)`` returns what is missing, and is left to its caller.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from mmengine.logging import print_log
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook

from mmest.checkpoints.compiled_names import COMPILED, use_names_of
from mmest.checkpoints.delta import DELTA_KEY, VERSION, check_digests, decode_info
from mmest.checkpoints.finite import refuse_not_finite
from mmest.checkpoints.prefixes import MIN_COVERAGE

_PENDING = '_mmest_loading'
_watched: list[type] = []


def watch_models_around(kind: type) -> None:
    """Have every module that gets a child of a class (a tuned backbone) look at what it loads, from now on.

    The class says by ``expects_whole`` whether all has to arrive: for predictions and for resuming. At the start of a
    training a head for other classes may start fresh, which is said.
    """
    if kind not in _watched:
        _watched.append(kind)
        register_module_module_registration_hook(_see)


def refuse_delta(model: nn.Module, checkpoint: Any) -> None:
    """Stop where a model of which nothing is tuned is given a delta: mmengine loads what fits, and tells the log alone
    that the backbone stays random.

    Raises:
        ValueError: the checkpoint is a delta, and the model has no tuned backbone.
    """
    state = checkpoint.get('state_dict') if isinstance(checkpoint, Mapping) else None
    if not _tuned(model) and any(key.endswith(DELTA_KEY) for key in state or ()):
        raise ValueError(
            f'The checkpoint is a delta, which lacks what is frozen in a tuned backbone, but nothing in this '
            f'{type(model).__name__} is tuned: its backbone would stay random. Use the config that it was trained with.'
        )


def _see(module: nn.Module, name: str, child: nn.Module | None) -> None:
    # One that is around a model around a tuned backbone has tensors of its own.
    holds = isinstance(child, nn.Module) and any(isinstance(inner, tuple(_watched)) for inner in child.modules())
    if not holds or _PENDING in module.__dict__:
        return
    module.register_load_state_dict_pre_hook(_name)
    if name != COMPILED:  # a compiled module looks itself
        module.__dict__[_PENDING] = None
        module.register_load_state_dict_pre_hook(_before)
        module.register_load_state_dict_post_hook(_after)


def _name(module: nn.Module, state_dict: dict, prefix: str, *_: Any) -> None:
    use_names_of(module, state_dict, prefix)


def _tuned(module: nn.Module) -> list[tuple[str, Any]]:
    return [(name, inner) for name, inner in module.named_modules() if isinstance(inner, tuple(_watched))]


def _look_themselves(module: nn.Module, prefix: str) -> tuple[str, ...]:
    """What the names begin with in modules inside that look at what they load."""
    return tuple(f'{prefix}{name}.' for name, inner in module.named_modules() if name and _PENDING in inner.__dict__)


def _before(module: nn.Module, state_dict: dict, prefix: str, *rest: Any) -> None:
    inner = _look_themselves(module, prefix)
    for name, _ in _tuned(module):
        marker = state_dict.get(f'{prefix}{name}.{DELTA_KEY}')
        info = None if marker is None else decode_info(marker)
        if info and info['version'] == VERSION:
            check_digests(info, state_dict, f'{prefix}{name}.', around=prefix, without=inner)
    module.__dict__[_PENDING] = prefix, rest[-1]  # the children append to this list what has another shape


def _after(module: nn.Module, incompatible_keys: Any) -> None:
    pending, module.__dict__[_PENDING] = module.__dict__[_PENDING], None
    if pending is None or not type(incompatible_keys).__module__.startswith('mmengine'):
        return
    prefix, errors = pending
    sizes = {}
    for error in errors:
        match = re.match(r'size mismatch for (\S+): .*', error, re.S)
        if not match:  # a value that cannot be copied, of which mmengine tells the log alone
            raise ValueError(f'The checkpoint is damaged, or torch did not write it: {error.strip()}')
        sizes[match[1]] = match[0]
    lost = [key for key in [*sizes, *incompatible_keys.missing_keys] if key.startswith(prefix)]
    lost = [key for key in lost if 'num_batches_tracked' not in key]
    arrived = {name for name, _ in chain(module.named_parameters(), module.named_buffers())}
    refuse_not_finite(module, arrived.difference(key.removeprefix(prefix) for key in lost), 'The checkpoint')
    _refuse_other_method(module, prefix, incompatible_keys.unexpected_keys)
    if not lost:
        return
    total = sum('num_batches_tracked' not in key for key in module.state_dict())

    def said(keys: Sequence[str]) -> str:
        first = sizes.get(keys[0], f'{keys[0]} is missing').strip().rstrip('.')
        return (
            f'{len(keys)} of the {total} tensors of {type(module).__name__} are not in the checkpoint, first: {first}'
        )

    tuned = _tuned(module)
    if any(child.expects_whole for _, child in tuned):
        raise ValueError(
            f'{said(lost)}. They would stay random. The checkpoint belongs to another config, or is no whole model: '
            'use the config that it was trained with.'
        )
    if len(lost) == total:
        raise ValueError(
            f'{said(lost)}. Nothing of it fits, so load_from would change nothing. Weights of a backbone alone belong '
            "into its init_cfg: init_cfg=dict(type='Pretrained', checkpoint=...)."
        )
    for name, child in tuned:
        _check_backbone(f'{prefix}{name}.', child, lost)
    method = tuple(f'{prefix}{name}.method.' for name, _ in tuned)
    fresh = [key for key in lost if not key.startswith(method + _look_themselves(module, prefix))]
    if fresh:
        print_log(f'{said(fresh)}. They start fresh, and train.', logger='current', level=30)


def _refuse_other_method(module: nn.Module, prefix: str, unexpected: Sequence[str]) -> None:
    for name, child in _tuned(module):
        left = [key for key in unexpected if key.startswith(f'{prefix}{name}.method.')]
        if left and child.expects_whole:
            raise ValueError(
                f'The checkpoint has {len(left)} tensors of a method for which {type(child.method).__name__} has no '
                f'place, first {left[0]}: it was trained by another one. Use the config that it was trained with.'
            )


def _check_backbone(prefix: str, tuned: Any, lost: Sequence[str]) -> None:
    sizes = {f'{prefix}backbone.{name}': p.numel() for name, p in tuned.backbone.named_parameters()}
    missing = [key for key in lost if key in sizes]
    share = 1 - sum(sizes[key] for key in missing) / sum(sizes.values())
    if 0 < share < MIN_COVERAGE:
        raise ValueError(
            f'The checkpoint of load_from covers {share:.2%} of the parameters of {type(tuned.backbone).__name__}; not '
            f'in it, or of another shape: {", ".join(missing[:5])}. At least {MIN_COVERAGE:.0%} is needed: it belongs '
            'to another backbone.'
        )
