"""Which models have a frozen backbone in common, which then runs once for each tile."""

import json
from collections.abc import Hashable, Sequence

import numpy as np
from torch import Tensor, nn

from mmest.backbones import SharedBackbone
from mmest.backbones.tuned_backbone import TunedBackbone, tuned_backbones
from mmest.checkpoints.digests import digest, digests

from .model import Model


def share_backbones(models: Sequence[Model], tiles: Sequence[int]) -> list[list[int]]:
    """Give models that may share a frozen backbone one.

    They do where its weights, its settings, what prepares a picture, the scale and the tiles are the same.

    Args:
        models: the models.
        tiles: side of the tiles of each.

    Returns:
        The places of the models in groups: those that share, or one by itself.
    """
    groups: dict[Hashable, list[int]] = {}
    for place, (model, tile) in enumerate(zip(models, tiles)):
        groups.setdefault((tile, _what_is_shared(model, tile) or place), []).append(place)
    for group in groups.values():
        if len(group) > 1:
            SharedBackbone([tuned_backbones(models[place].network)[0][1] for place in group])
    return list(groups.values())


def _what_is_shared(model: Model, tile: int) -> Hashable:
    """All that decides what a frozen backbone gives for a tile; None for a model that shares nothing."""
    network = getattr(model, 'network', None)
    tuned = tuned_backbones(network) if network is not None else []
    if len(tuned) != 1 or not tuned[0][1].is_frozen:
        return None
    backbone = tuned[0][1]
    settings = network.cfg.model.backbone.backbone
    return (
        type(backbone.backbone),
        json.dumps({key: settings[key] for key in sorted(settings) if key not in ('type', 'init_cfg')}, default=str),
        tuple(sorted(digests(backbone.frozen_state()).items())),
        backbone.precision.dtype,
        json.dumps(model.reading),
        digest(_shown(model, backbone, tile)),
    )


class _Seen(Exception):
    """Carries what a backbone was given."""


def _shown(model: Model, backbone: TunedBackbone, tile: int) -> Tensor:
    """What the backbone is given for a tile of noise: all that scales, normalises and pads."""

    def stop(module: nn.Module, args: tuple[Tensor]) -> None:
        raise _Seen(args[0])

    noise = np.random.default_rng(0).integers(0, 256, (tile, tile, 3), dtype=np.uint8)
    hook = backbone.register_forward_pre_hook(stop)
    try:
        (model.detect if model.detects else model.mask)(noise)
    except _Seen as seen:
        return seen.args[0]
    finally:
        hook.remove()
    raise AssertionError('A model that predicts runs its backbone.')
