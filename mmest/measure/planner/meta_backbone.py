"""The memory of a tuned backbone at any size, without data."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mmest.measure.memory.categories import WEIGHTS_FROZEN
from mmest.measure.memory.live import LiveStorage, LiveTensorCounter

from .attention import AttentionOfTheCPU
from .remembered import RememberedResults


class BackboneMemory(NamedTuple):
    """Live bytes of a tuned backbone alone, weights included, the image not.

    Attributes:
        weights: before it runs.
        forward: behind each operator of the forward pass.
        held: after it: outputs, and all that is kept for backward.
        kept: the same once nobody else holds the outputs.
        backward: behind each operator of the backward pass, from gradients of all outputs that learn.
        after: after it: weights and gradients.
        learns: whether each output does.
    """

    weights: int
    forward: np.ndarray
    held: int
    kept: int
    backward: np.ndarray
    after: int
    learns: tuple[bool, ...]


class _Totals(NamedTuple):
    """Bytes that are there once, and bytes for each image."""

    once: np.ndarray
    each: np.ndarray

    def at(self, batch_size: float) -> np.ndarray:
        return self.once + batch_size * self.each


# A prime that divides the size of no weight: what it divides is there once for each image of the batch.
_IMAGES = 10007


class _CounterPerImage(LiveTensorCounter):
    """Tells what is there for each image of a batch of ``_IMAGES``."""

    def __init__(self, device_type: str) -> None:
        super().__init__(device_type)
        self.each = 0
        self.notes: list[tuple[int, int]] = []
        self.after_operator = self.note

    def note(self) -> None:
        self.notes.append((self.total - self.each * _IMAGES, self.each))

    def take(self) -> _Totals:
        """What has been noted since the last time, with this moment as the last."""
        self.note()
        notes, self.notes = np.array(self.notes, float), []
        return _Totals(*notes.T)

    def _add(self, live: LiveStorage, nbytes: int) -> None:
        super()._add(live, nbytes)
        each, rest = divmod(nbytes, _IMAGES)
        self.each += 0 if rest else each


class _Losses(torch.autograd.Function):
    """Keeps nothing of the features, and gives each a gradient."""

    @staticmethod
    def forward(ctx, *features: Tensor) -> Tensor:
        ctx.shapes = [feature.shape for feature in features]
        return features[0].new_empty(())

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, ...]:
        return tuple(gradient.new_empty(shape) for shape in ctx.shapes)


class MetaBackbone:
    """A backbone under a tuning method on torch's meta device, which has shapes and no data: exact at any size.

    Args:
        backbone: a TunedBackbone in training mode. It is used up: its tensors are replaced.
        accumulates: whether gradients of earlier steps are there.
        remembered: results of others before it.

    Attributes:
        image_channels: of the images that it takes.
        reads: whether each output gets a gradient from what follows; empty: all.
    """

    def __init__(
        self, backbone: nn.Module, accumulates: bool = False, remembered: RememberedResults | None = None
    ) -> None:
        self._backbone, self._remembered = backbone, remembered or RememberedResults()
        # autocast knows no meta device. Fake tensors say that they are on the CPU; they take twice the time.
        self._fake = FakeTensorMode(allow_non_fake_inputs=True) if backbone.precision.dtype else None
        self.device_type = 'cpu' if self._fake else 'meta'
        backbone.settle()
        self.image_channels = backbone.image_channels
        backbone._apply(self._without_data)
        for module in backbone.modules():  # constants outside of parameters and buffers
            for name, value in vars(module).items():
                if isinstance(value, Tensor):
                    setattr(module, name, self._without_data(value))
        self.reads: Sequence[bool] = ()
        self._accumulates = accumulates
        self._known: dict[tuple[int, int], tuple[list[_Totals], tuple[bool, ...]]] = {}

    def _without_data(self, tensor: Tensor) -> Tensor:
        return self._fake.from_tensor(tensor) if self._fake else tensor.to('meta')

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Where all that is made has no data either."""
        with ExitStack() as stack:
            for mode in (self._fake,) if self._fake else (torch.device('meta'), AttentionOfTheCPU()):
                stack.enter_context(mode)
            yield

    def shapes(self, batch_size: int, size: tuple[int, int]) -> list[torch.Size]:
        """The shapes of its outputs."""
        with self._running(), nullcontext() if self._fake else self._remembered, torch.no_grad():
            return [feature.shape for feature in self._backbone(torch.empty(batch_size, self.image_channels, *size))]

    def memory(self, batch_size: int, size: tuple[int, int]) -> BackboneMemory:
        """The memory for a batch of images of a size. All batches of one size are one run.

        Raises:
            NotImplementedError, RuntimeError: the method looks at values, of which there are none.
        """
        if size not in self._known:
            self._backbone.zero_grad(set_to_none=True)
            for _ in range(1 + self._accumulates):
                self._known[size] = self._measure(size)
        totals, learns = self._known[size]
        return self._as_memory(batch_size, totals, learns)

    def estimate(self, batch_size: int, size: tuple[int, int]) -> BackboneMemory:
        """About the memory, from that of the size among those looked at that is nearest."""
        pixels = size[0] * size[1]
        near = min(self._known, key=lambda known: abs(math.log(known[0] * known[1] / pixels)))
        totals, learns = self._known[near]
        return self._as_memory(batch_size * pixels / (near[0] * near[1]), totals, learns)

    @staticmethod
    def _as_memory(batch_size: float, totals: list[_Totals], learns: tuple[bool, ...]) -> BackboneMemory:
        weights, forward, kept, backward = (part.at(batch_size) for part in totals)
        return BackboneMemory(weights[-1], forward, forward[-1], kept[-1], backward, backward[-1], learns)

    def _measure(self, size: tuple[int, int]) -> tuple[list[_Totals], tuple[bool, ...]]:
        counter = _CounterPerImage(self.device_type)
        if not self._fake:
            counter.run = self._remembered.result
        with self._running(), counter:
            parameters = list(self._backbone.parameters())
            earlier = [p.grad for p in parameters if p.grad is not None]  # where gradients accumulate
            for tensor in (*parameters, *self._backbone.buffers(), *earlier):
                counter.label(tensor, WEIGHTS_FROZEN)
            weights = counter.take()
            image = torch.empty(_IMAGES, self.image_channels, *size)
            counter.each -= image.nbytes // _IMAGES  # it lives on until the end, and is no part of the backbone
            counter.total -= image.nbytes
            counter.notes.clear()
            features = self._backbone(image)
            forward = counter.take()
            learns = tuple(feature.requires_grad for feature in features)
            read = self.reads or [True] * len(learns)
            learning = [feature for feature, is_read in zip(features, read) if feature.requires_grad and is_read]
            loss = _Losses.apply(*learning) if learning else None
            del features, learning
            counter.notes.clear()
            kept = counter.take()
            if loss is not None:
                loss.backward()
                loss = None
            backward = counter.take()
        return [weights, forward, kept, backward], learns
