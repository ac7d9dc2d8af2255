"""One frozen backbone under several methods."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from mmest.anatomy.hooks import Pass, override
from mmest.anatomy.taps import Tap

from .tuned_backbone import TunedBackbone

#: What the backbone returned, its maps, its taps, and what hooks of the method saw beside these.
Reading = tuple[Any, list[Tensor], list[Tap], dict[Any, Any]]


class SharedBackbone:
    """One frozen backbone for several tuned ones, which give the same as each by itself, bit for bit.

    In prediction and in training alike it runs once for each batch of images, which all are given in turn. What it read
    of the last batch is kept until each has had it, or another batch comes.

    Args:
        tuned: backbones of equal weights and settings, whose methods lie beside them or train nothing. All get the
            first one's modules, so that the weights lie in memory once: never train these.

    Attributes:
        forwards: how often it has run.
    """

    def __init__(self, tuned: Sequence[TunedBackbone]) -> None:
        self.forwards = 0
        self._tuned = list(tuned)
        self._image: Tensor | None = None
        self._mode: tuple = ()
        self._readings: dict[TunedBackbone, Reading] = {}
        for one in tuned:
            one.backbone, one.precision = tuned[0].backbone, tuned[0].precision
            override(one, '_read', self._read)

    def _read(self, inner: Callable, own: TunedBackbone, x: Tensor, run: Pass) -> tuple[Any, list[Tensor], list[Tap]]:
        """In place of ``TunedBackbone._read``."""
        if own not in self._readings or not self._is_last(x):
            # A copy: a caller may fill one buffer again and again.
            self._image, self._mode = x.detach().clone(), _mode(x)
            self._readings = self._run(own, x, run)
        outputs, features, taps, seen = self._readings.pop(own)
        run.seen.update(seen)
        return outputs, features, taps

    def _is_last(self, x: Tensor) -> bool:
        """Whether the backbone ran last on this batch, and in the same way."""
        return self._image is not None and self._mode == _mode(x) and torch.equal(self._image, x)

    def _run(self, own: TunedBackbone, x: Tensor, run: Pass) -> dict[TunedBackbone, Reading]:
        self.forwards += 1
        with ExitStack() as passes:
            runs = {
                one: run if one is own else passes.enter_context(one.method.passing(one.backbone))
                for one in self._tuned
            }
            outputs = own.run_backbone(x)
            return {one: (outputs, *one.gather(outputs, x, runs[one]), runs[one].seen) for one in self._tuned}


def _mode(x: Tensor) -> tuple:
    """What else decides what a frozen backbone gives for a batch: its precision, and whether the maps may be part of a
    graph.
    """
    kind = x.device.type
    mixed = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
    return x.device, x.dtype, mixed, torch.is_inference_mode_enabled()
