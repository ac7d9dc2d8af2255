"""Delta checkpoints: all that trained, and the fingerprint of the frozen backbone that it belongs to.

A delta checkpoint is an ordinary mmengine checkpoint whose state dict lacks the frozen tensors that the pretrained file
of the backbone gives back, and has one more entry per tuned backbone, ``<backbone>.delta_info``: JSON in a uint8
tensor, so that it passes through every tool that moves state dicts about. It holds the method with its arguments, the
fingerprint of what was left out, and a digest of every tensor beside it. Loading is the wrapper's own business
(:func:`check_and_complete`), so every path that ends in loading a state dict works.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmest.checkpoints.compiled_names import class_name, plain_name, use_plain_names
from mmest.checkpoints.digests import digest, digests, fingerprint
from mmest.checkpoints.pretrained import pretrained_source

DELTA_KEY = 'delta_info'
VERSION = 2
_DAMAGED = 'The entry that tells what this delta checkpoint belongs to is damaged; the file is not usable.'


class Tuned(Protocol):
    """What is asked of a tuned backbone here."""

    backbone: nn.Module
    method: nn.Module
    arguments: dict[str, Any]

    def frozen_state(self) -> Iterator[tuple[str, Tensor]]: ...

    def frozen_digests(self) -> dict[str, str]: ...

    def restorable(self) -> dict[str, str]: ...

    def load_backbone(self) -> None: ...

    def state_dict(self) -> dict[str, Tensor]: ...


def encode_info(info: dict) -> Tensor:
    """JSON as a uint8 tensor, with its digest in a line below."""
    text = json.dumps(info, sort_keys=True).encode()
    return torch.tensor(list(text + b'\n' + hashlib.sha256(text).hexdigest().encode()), dtype=torch.uint8)


def decode_info(tensor: Tensor) -> dict:
    """The JSON in a uint8 tensor.

    Raises:
        ValueError: it is damaged, incomplete, or was written by an unknown version.
    """
    try:
        text, line, check = bytes(tensor.cpu().tolist()).partition(b'\n')
        info = json.loads(text.decode())
        version = info['version']
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        raise ValueError(_DAMAGED) from error
    if line and check != hashlib.sha256(text).hexdigest().encode():
        raise ValueError(_DAMAGED)
    if version not in (1, VERSION):
        raise ValueError(
            f'This delta checkpoint has format version {version}; this mmest reads versions 1 and {VERSION}. '
            'Use the version of mmest that wrote it, or one that is newer.'
        )
    kinds = dict(fingerprint=str, tensors=int, belongs_to=str)
    if version == VERSION:
        kinds.update(path=str, method=str, arguments=dict, digests=dict)
    if any(not isinstance(info.get(name), kind) for name, kind in kinds.items()) or version == VERSION and not line:
        raise ValueError(_DAMAGED)
    return info


def describe(tuned: Tuned) -> str:
    """A backbone in words, for messages."""
    count = sum(p.numel() for p in tuned.backbone.parameters())
    return (
        f'{class_name(tuned.backbone)} with {count:,} parameters from '
        f'"{pretrained_source(tuned.backbone) or "no file"}", tuned by {class_name(tuned.method)}'
    )


def strip_frozen(
    tuned_backbones: Sequence[tuple[str, Tuned]], checkpoint: dict, frozen: dict[str, dict[str, str]]
) -> list[str]:
    """Turn an mmengine checkpoint of a model into a delta checkpoint, in place.

    Frozen tensors that the pretrained file does not give back (because ``load_from`` changed them, or there is no file)
    stay in, so a delta checkpoint is always whole.

    Args:
        tuned_backbones: name and module of each in the model.
        checkpoint: its checkpoint, with ``state_dict`` and perhaps ``ema_state_dict``.
        frozen: digests of the frozen tensors of each tuned backbone, by its path.

    Returns:
        Keys of the frozen tensors that had to stay.
    """
    kept: list[str] = []
    infos: dict[str, dict] = {}
    states = [(checkpoint.get('state_dict'), ''), (checkpoint.get('ema_state_dict'), 'module.')]
    for state, _ in states:
        if state is not None:
            use_plain_names(state)
    for where, tuned in tuned_backbones:
        path = plain_name(where)
        prefix = f'{path}.' if path else ''
        current, known = _plain(frozen[where]), _plain(tuned.restorable())
        left_out = {name: value for name, value in current.items() if known.get(name) == value}
        kept += [f'{prefix}backbone.{name}' for name in current if name not in left_out]
        for state, outer in states:
            for name in left_out if state is not None else ():
                state.pop(f'{outer}{prefix}backbone.{name}', None)
        infos[prefix] = dict(
            version=VERSION,
            path=path,
            fingerprint=fingerprint(left_out),
            tensors=len(left_out),
            belongs_to=describe(tuned),
            method=class_name(tuned.method),
            arguments=tuned.arguments,
        )
    for state, outer in states:
        if state is None:
            continue
        held = digests((key.removeprefix(outer), value) for key, value in state.items() if key.startswith(outer))
        for prefix, info in infos.items():
            state[f'{outer}{prefix}{DELTA_KEY}'] = encode_info(dict(info, digests=held))
    return kept


def _plain(named: dict[str, str]) -> dict[str, str]:
    return {plain_name(name): value for name, value in named.items()}


def rename_plain_keys(tuned: Tuned, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Give the keys of an ordinary checkpoint (``backbone.x``) the names they have in the wrapper
    (``backbone.backbone.x``), in place.
    """
    own = {plain_name(name) for name in tuned.state_dict()}
    for key in [key for key in state_dict if key.startswith(prefix)]:
        name = plain_name(key[len(prefix) :])
        if name not in own and f'backbone.{name}' in own:
            state_dict[f'{prefix}backbone.{name}'] = state_dict.pop(key)


def check_digests(
    info: dict,
    state_dict: Mapping[str, Tensor],
    prefix: str,
    around: str | None = None,
    without: tuple[str, ...] = (),
) -> None:
    """The tensors of a delta are those that were written.

    Args:
        info: of the delta.
        state_dict: where its tensors are.
        prefix: of the tuned backbone in it.
        around: look at the tensors outside of the tuned backbone whose names begin so (default: at those inside).
        without: pass over those whose names begin so.

    Raises:
        ValueError: some are missing or damaged.
    """
    path, prefix = plain_name(f'{info["path"]}.' if info['path'] else ''), plain_name(prefix)
    written, given = _plain(info['digests']), {plain_name(key): value for key, value in state_dict.items()}
    if around is None:
        wanted = {prefix + n[len(path) :]: value for n, value in written.items() if n.startswith(path)}
    elif prefix.endswith(path):
        outer, around, without = prefix[: len(prefix) - len(path)], plain_name(around), tuple(map(plain_name, without))
        wanted = {outer + n: value for n, value in written.items() if not n.startswith(path)}
        wanted = {k: value for k, value in wanted.items() if k.startswith(around) and not k.startswith(without)}
    else:
        return  # the backbone was taken out of its model
    lost = [key for key in wanted if not isinstance(given.get(key), Tensor)]
    other = [key for key, value in wanted.items() if key not in lost and digest(given[key]) != value]
    if lost or other:
        raise ValueError(
            f'This delta checkpoint is damaged: of the {len(info["digests"])} tensors that were written {len(lost)} '
            f'are missing and {len(other)} have other values, first {(lost + other)[0]}. Copy it again or take an '
            'earlier checkpoint.'
        )


def _check_arguments(info: dict, tuned: Tuned) -> None:
    for name, here in tuned.arguments.items():
        there = info['arguments'].get(name, here)
        if name not in tuned.method.training_arguments and there != here:
            raise ValueError(
                f'This delta checkpoint was trained by {info["method"]} with {name}={there}, but here {name}={here}: '
                'it would compute something else. Use the config that it was trained with, or set '
                f'model.backbone.tuning.{name}={there}.'
            )


def check_and_complete(tuned: Tuned, state_dict: dict[str, Tensor], prefix: str) -> None:
    """Check the state dict of a delta checkpoint against a backbone and fill in what it left out, in place.

    A state dict that is not a delta passes untouched, unless it has a trained method and no backbone.

    Raises:
        ValueError: the delta is damaged, of an unknown version, of another method or other arguments of it, or of
            another backbone.
    """
    marker = state_dict.pop(prefix + DELTA_KEY, None)
    own = {prefix + name: tensor for name, tensor in tuned.state_dict().items()}
    frozen = {f'{prefix}backbone.{name}': tensor for name, tensor in tuned.frozen_state()}
    given = {key: value for key, value in state_dict.items() if key.startswith(prefix)}
    left_out = [key for key in frozen if key not in given]
    if marker is None:
        if left_out and any(key.startswith(f'{prefix}method.') for key in given):
            raise ValueError(
                f'The checkpoint holds a trained method but lacks {len(left_out)} frozen tensors of its '
                f'backbone, first {left_out[0]}, and does not say which backbone it belongs to. It is '
                'damaged, or was cut by something other than mmest.'
            )
        return
    info = decode_info(marker)
    if info['version'] == VERSION:
        check_digests(info, state_dict, prefix)
    else:
        print_log(
            'This delta checkpoint was written by an earlier mmest and has no digests: damage of its tensors would not '
            'be noticed, nor other arguments of the method.',
            logger='current',
            level=30,
        )
    if info.get('method') == class_name(tuned.method):
        _check_arguments(info, tuned)
    wrong = [key for key in own if key not in frozen and (key not in given or given[key].shape != own[key].shape)]
    wrong += [key for key in given if key not in own]
    if wrong or len(left_out) != info['tensors'] or info.get('method') not in (None, class_name(tuned.method)):
        same = info.get('method') == class_name(tuned.method)
        younger = [name for name in tuned.arguments if same and name not in info['arguments']]
        before = f' It is older than {", ".join(younger)}: the changelog says what it needs there.' if younger else ''
        raise ValueError(
            f'This delta checkpoint belongs to {info["belongs_to"]}; here is {_unlike(info, tuned)}. '
            f'{len(wrong)} tensors do not fit{", first " + wrong[0] if wrong else ""}; '
            f'{info["tensors"]} frozen ones were left out, {len(left_out)} are wanted. '
            f'Use the config that it was trained with.{before}'
        )
    names = [key[len(prefix) + len('backbone.') :] for key in left_out]
    _find_weights(info, tuned, set(names))
    current = dict(tuned.frozen_state())
    for key, name in zip(left_out, names):
        state_dict[key] = current[name].clone()


def _unlike(info: dict, tuned: Tuned) -> str:
    here = describe(tuned)
    return 'the same, but in another model' if here == info['belongs_to'] else here


def cast_to(backbone: nn.Module) -> torch.dtype | None:
    """What all weights of a backbone were cast to; None where they are float32, or of several kinds."""
    found = {p.dtype for p in backbone.parameters() if p.is_floating_point()}
    return found.pop() if len(found) == 1 and torch.float32 not in found else None


def _if_cast(backbone: nn.Module) -> str:
    cast = cast_to(backbone)
    return f' Its weights are {cast}: if they were cast, load the delta before you cast them.' if cast else ''


def _find_weights(info: dict, tuned: Tuned, names: set[str]) -> None:
    """Have the backbone hold the frozen tensors that a delta left out."""

    def fits() -> bool:
        own = tuned.frozen_digests()
        return fingerprint(_plain({name: own[name] for name in names})) == info['fingerprint']

    if fits():
        return
    if pretrained_source(tuned.backbone) is None:
        raise ValueError(
            f'This delta checkpoint belongs to {info["belongs_to"]}; here is {describe(tuned)}, with '
            f'other weights. Name the pretrained file in the init_cfg of the backbone.{_if_cast(tuned.backbone)}'
        )
    tuned.load_backbone()
    if not fits():
        raise ValueError(
            f'This delta checkpoint belongs to {info["belongs_to"]}, whose frozen weights have '
            f'another fingerprint than those of {describe(tuned)}. Name the pretrained file that it '
            'was trained with in the init_cfg of the backbone.'
        )
    print_log(
        f'Completed a delta checkpoint with the frozen weights of {pretrained_source(tuned.backbone)}.',
        logger='current',
    )
