"""Delta checkpoints: all that trained, and the fingerprint of the frozen backbone that it belongs to.

A delta checkpoint is an ordinary mmengine checkpoint whose state dict lacks the frozen tensors that the pretrained file
of the backbone gives back, and has one more entry per tuned backbone, ``<backbone>.delta_info``: JSON in a uint8
tensor, so that it passes through every tool that moves state dicts about. Loading is the wrapper's own business
(:func:`check_and_complete`), so every path that ends in loading a state dict works.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmest.checkpoints.digests import digests, fingerprint
from mmest.checkpoints.pretrained import pretrained_source

if TYPE_CHECKING:
    from mmest.backbones.tuned_backbone import TunedBackbone

DELTA_KEY = 'delta_info'
VERSION = 1


def encode_info(info: dict) -> Tensor:
    """JSON as a uint8 tensor."""
    return torch.tensor(list(json.dumps(info, sort_keys=True).encode()), dtype=torch.uint8)


def decode_info(tensor: Tensor) -> dict:
    """The JSON in a uint8 tensor.

    Raises:
        ValueError: it is damaged, or was written by an unknown version.
    """
    try:
        info = json.loads(bytes(tensor.cpu().tolist()).decode())
        version = info['version']
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            'The entry that tells what this delta checkpoint belongs to is damaged; the file is not usable.'
        ) from error
    if version != VERSION:
        raise ValueError(
            f'This delta checkpoint has format version {version}; this mmest reads version {VERSION}. '
            'Use the version of mmest that wrote it, or one that is newer.'
        )
    return info


def describe(tuned: 'TunedBackbone') -> str:
    """A backbone in words, for messages."""
    count = sum(p.numel() for p in tuned.backbone.parameters())
    return (
        f'{type(tuned.backbone).__name__} with {count:,} parameters from '
        f'"{pretrained_source(tuned.backbone) or "no file"}", tuned by {type(tuned.method).__name__}'
    )


def strip_frozen(
    tuned_backbones: Sequence[tuple[str, 'TunedBackbone']], checkpoint: dict, frozen: dict[str, dict[str, str]]
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
    for path, tuned in tuned_backbones:
        prefix = f'{path}.' if path else ''
        current, known = frozen[path], tuned.restorable()
        left_out = {name: value for name, value in current.items() if known.get(name) == value}
        kept += [f'{prefix}backbone.{name}' for name in current if name not in left_out]
        if not left_out:
            continue
        info = encode_info(
            dict(version=VERSION, fingerprint=fingerprint(left_out), tensors=len(left_out), belongs_to=describe(tuned))
        )
        for states, outer in ((checkpoint.get('state_dict'), ''), (checkpoint.get('ema_state_dict'), 'module.')):
            if states is not None:
                for name in left_out:
                    states.pop(f'{outer}{prefix}backbone.{name}', None)
                states[f'{outer}{prefix}{DELTA_KEY}'] = info
    return kept


def rename_plain_keys(tuned: 'TunedBackbone', state_dict: dict[str, Tensor], prefix: str) -> None:
    """Give the keys of an ordinary checkpoint (``backbone.x``) the names they have in the wrapper
    (``backbone.backbone.x``), in place.
    """
    own = tuned.state_dict().keys()
    for key in [key for key in state_dict if key.startswith(prefix)]:
        name = key[len(prefix) :]
        if name not in own and f'backbone.{name}' in own:
            state_dict[f'{prefix}backbone.{name}'] = state_dict.pop(key)


def check_and_complete(tuned: 'TunedBackbone', state_dict: dict[str, Tensor], prefix: str) -> None:
    """Check the state dict of a delta checkpoint against a backbone and fill in what it left out, in place.

    A state dict that is not a delta passes untouched, unless it has a trained method and no backbone.

    Raises:
        ValueError: the delta is damaged, of an unknown version, of another method, or of another backbone.
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
    wrong = [key for key in own if key not in frozen and (key not in given or given[key].shape != own[key].shape)]
    wrong += [key for key in given if key not in own]
    if wrong or len(left_out) != info['tensors']:
        raise ValueError(
            f'This delta checkpoint belongs to {info["belongs_to"]}; here is {describe(tuned)}. '
            f'{len(wrong)} tensors do not fit{", first " + wrong[0] if wrong else ""}; '
            f'{info["tensors"]} frozen ones were left out, {len(left_out)} are wanted. '
            'Use the config that it was trained with.'
        )
    names = [key[len(prefix) + len('backbone.') :] for key in left_out]

    def fits() -> bool:
        wanted = set(names)
        return fingerprint(digests((n, t) for n, t in tuned.frozen_state() if n in wanted)) == info['fingerprint']

    if not fits():
        if pretrained_source(tuned.backbone) is None:
            raise ValueError(
                f'This delta checkpoint belongs to {info["belongs_to"]}; here is {describe(tuned)}, with '
                'other weights. Name the pretrained file in the init_cfg of the backbone.'
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
    current = dict(tuned.frozen_state())
    for key, name in zip(left_out, names):
        state_dict[key] = current[name].clone()
