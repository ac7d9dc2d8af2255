"""One frozen backbone under several methods."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from mmest.anatomy.hooks import Pass, override
from mmest.anatomy.taps import Tap

from .tuned_backbone import TunedBackbone

Reading = tuple[Any, list[Tensor], list[Tap]]


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
        self._readings: dict[TunedBackbone, Reading] = {}
        for one in tuned:
            one.backbone, one.precision = tuned[0].backbone, tuned[0].precision
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
