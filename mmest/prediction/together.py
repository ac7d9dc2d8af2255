"""Several models on one picture: the frozen backbone that they have in common runs once for each tile."""

import json
from collections.abc import Callable, Hashable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmest.anatomy.hooks import Pass, override
from mmest.anatomy.taps import Tap
from mmest.backbones.tuned_backbone import TunedBackbone, tuned_backbones
from mmest.checkpoints.digests import digest, digests

from .model import Model

Reading = tuple[Any, list[Tensor], list[Tap]]


class SharedBackbone:
    """One frozen backbone for several tuned ones, which give the same as each by itself, bit for bit.

    What it read of the last picture is kept until each has had it, or another picture comes.

    Args:
        tuned: backbones of equal weights and settings, whose methods lie beside them or train nothing. All get the
            first one's modules, so that the weights lie in memory once: never train one of them.

    Attributes:
        forwards: how often it has run.
    """

    def __init__(self, tuned: Sequence[TunedBackbone]) -> None:
        self.forwards = 0
        self._tuned = list(tuned)
        self._image: Tensor | None = None
        self._readings: dict[TunedBackbone, Reading] = {}
        for one in tuned:
            one.backbone = tuned[0].backbone
            override(one, '_read', self._read)

    def _read(self, inner: Callable, own: TunedBackbone, x: Tensor, run: Pass) -> Reading:
        """In place of ``TunedBackbone._read``."""
        if own not in self._readings or self._image is None or not torch.equal(self._image, x):
            self._image, self._readings = x, self._run(own, x, run)
        return self._readings.pop(own)

    def _run(self, own: TunedBackbone, x: Tensor, run: Pass) -> dict[TunedBackbone, Reading]:
        self.forwards += 1
        with ExitStack() as passes:
            runs = {
                one: run if one is own else passes.enter_context(one.method.passing(one.backbone))
                for one in self._tuned
            }
            outputs = own.run_backbone(x)
            return {one: (outputs, *one.gather(outputs, x, runs[one])) for one in self._tuned}


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
        json.dumps(model.image_scale),
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
