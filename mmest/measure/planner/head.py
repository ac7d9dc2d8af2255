"""What a training step needs beyond its backbone, from small real runs."""

import copy
import functools
import gc
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmest.measure.batch_of_one import norms_of_one_pixel
from mmest.measure.garbage import only_new_garbage
from mmest.measure.memory.attribution import attribution, label_survivors, label_weights
from mmest.measure.memory.categories import SAVED_BACKBONE, SAVED_HEADS, SAVED_SIDE, TRANSIENT
from mmest.measure.memory.live import LiveTensorCounter
from mmest.measure.memory.step import repeatable, train_until_update
from mmest.measure.synthetic_batch import synthetic_batch

from .meta_backbone import MetaBackbone
from .unread import UnreadGradients, coarse_samples

#: Batches and sizes that run for real: small, but large enough that every level of a detector's pyramid has its
#: proposals, and that BatchNorm behind global pooling has more than one value.
SMALL_RUNS = ((2, (192, 192)), (2, (288, 288)), (3, (192, 192)), (3, (256, 256)))
#: How far the backbone is.
STATES = ('before', 'forward', 'held', 'backward', 'after', 'optimizer')
BEFORE, FORWARD, HELD, BACKWARD, AFTER, OPTIMIZER = STATES


class Moment(NamedTuple):
    """When something was alive: how far the backbone was, and what ran."""

    backbone: str
    part: str = ''
    module: str = ''
    operator: str = ''


class Run(NamedTuple):
    """A small step: for each moment the most bytes beyond the backbone, and those of its outputs."""

    batch_size: int
    size: tuple[int, int]
    tops: dict[Moment, tuple[int, int]]


def left(counter: LiveTensorCounter) -> int:
    """Bytes that a step made and that are still there: heads keep some until the next step (samples, say)."""
    return sum(counter.totals[category] for category in (TRANSIENT, SAVED_BACKBONE, SAVED_SIDE, SAVED_HEADS))


class StandIn(nn.Module):
    """Stands where the backbone was: gives features of its shapes, and needs nothing but these.

    Args:
        shapes: of the outputs, by batch size, height and width.
        image_channels: of the images that it is given.

    Attributes:
        learns: whether each output hands its gradient on; empty: all.
        reads: whether each output got a gradient.
        counter: of the step that runs.
        earlier: of the step before, which knows what of it is still there.
        tops: for each moment the most bytes beyond the backbone, those of its outputs, and those of the step before.
    """

    def __init__(self, shapes: Callable[[int, tuple[int, int]], list[torch.Size]], image_channels: int) -> None:
        super().__init__()
        self.shapes, self.image_channels = shapes, image_channels
        self.learns: tuple[bool, ...] = ()
        self.reads: tuple[bool, ...] = ()
        self.state = BEFORE
        self.counter = LiveTensorCounter()
        self.earlier = LiveTensorCounter()
        self.tops: dict[Moment, tuple[int, int, int]] = {}

    def note(self) -> None:
        """Note what is alive, unless the stand-in itself makes it."""
        counter = self.counter
        if counter.part == 'backbone':
            return
        state = OPTIMIZER if counter.phase == OPTIMIZER else self.state
        moment = Moment(state, counter.part, counter.module, counter.operator)
        outputs = counter.totals[SAVED_BACKBONE]
        top = counter.total - outputs, outputs, left(self.earlier)
        self.tops[moment] = max(self.tops.get(moment, (0, 0, 0)), top, key=sum)

    def reach(self, state: str, gradients: int = 0) -> None:
        """Note the moment in which the backbone would run, without the gradients that it is handed."""
        outputs = self.counter.totals[SAVED_BACKBONE]
        self.tops[Moment(state)] = self.counter.total - outputs - gradients, outputs, left(self.earlier)

    def made(self, shape: torch.Size) -> Tensor:
        """A feature."""
        feature = torch.randn(shape)
        self.counter.label(feature, SAVED_BACKBONE)
        return feature

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        trigger = x.new_ones((), requires_grad=any(self.learns or [True]))
        features = _Features.apply(trigger, self, self.shapes(x.shape[0], (x.shape[2], x.shape[3])))
        self.reach(FORWARD)
        self.state = HELD
        return features


class _Features(torch.autograd.Function):
    @staticmethod
    def forward(ctx, trigger: Tensor, stand_in: StandIn, shapes: list[torch.Size]) -> tuple[Tensor, ...]:
        ctx.stand_in = stand_in
        ctx.set_materialize_grads(False)
        features = tuple(stand_in.made(shape) for shape in shapes)
        ctx.mark_non_differentiable(*(f for f, learns in zip(features, stand_in.learns) if not learns))
        return features

    @staticmethod
    def backward(ctx, *gradients: Tensor | None) -> tuple[Tensor | None, None, None]:
        stand_in, given = ctx.stand_in, [gradient for gradient in gradients if gradient is not None]
        stand_in.reads = tuple(gradient is not None for gradient in gradients)
        stand_in.reach(BACKWARD, sum(gradient.nbytes for gradient in given))
        stand_in.state = AFTER
        return given[0].new_zeros(()), None, None


class Head:
    """Neck and head of a model, which train small steps behind a stand-in.

    Args:
        model: whose backbone is replaced by the stand-in.
        optim_wrapper: over the parameters of neck and head; nothing is learned, so that all steps are alike.
        backbone: whose place the stand-in takes.
        done: called after each small step.

    Attributes:
        reads: whether each output of the backbone gets a gradient, where it wants one.
        least_batch: images that a step needs: two where a batch norm trains on one pixel of each.
        updates_are_fused: whether the optimizer was built to update weights in place, each by one operator.
    """

    def __init__(
        self,
        model: nn.Module,
        optim_wrapper: OptimWrapper,
        backbone: MetaBackbone,
        done: Callable[[], None],
    ) -> None:
        self._model, self._optim_wrapper, self._done = model.train(), optim_wrapper, done
        for group in optim_wrapper.optimizer.param_groups:
            group['lr'] = 0.0
        self.updates_are_fused = bool(optim_wrapper.optimizer.defaults.get('fused'))
        self._stand_in = StandIn(functools.cache(backbone.shapes), backbone.image_channels)
        # The first makes what stays: states of the optimizer, constants.
        with only_new_garbage(), norms_of_one_pixel(self._model) as lone:
            self._all = [self._run(*run) for run in (SMALL_RUNS[0], *SMALL_RUNS)][1:]
        self._fits: dict[tuple[bool, ...], HeadFit] = {}
        self.reads = self._stand_in.reads
        self.least_batch = 2 if lone else 1

    def padded(self, size: tuple[int, int]) -> tuple[int, int]:
        """The height and width that the model's data preprocessor pads images of a size to."""
        preprocessor = self._model.data_preprocessor
        names = ('pad_size_divisor', 'size_divisor')  # of mmdet, and of mmseg
        divisor = next(filter(None, (getattr(preprocessor, name, None) for name in names)), 1)
        height, width = (-(-side // divisor) * divisor for side in size)
        return height, width

    def fit(self, learns: tuple[bool, ...]) -> 'HeadFit':
        """The fit where some of the outputs learn."""
        if learns not in self._fits:
            self._stand_in.learns = learns
            made = HeadFit(self._all)
            self._fits[learns] = made if all(learns) else made.less(self._all[0], self._run(*SMALL_RUNS[0]))
        return self._fits[learns]

    def _run(self, batch_size: int, size: tuple[int, int]) -> Run:
        if getattr(self._model.data_preprocessor, 'size', None):
            self._model.data_preprocessor.size = size
        self._model.backbone = stand_in = self._stand_in
        batch = synthetic_batch(self._model, size, batch_size)
        stand_in.shapes(batch_size, size)  # known before the counter would see the weights that they ask for
        stand_in.earlier, stand_in.counter = stand_in.counter, (counter := LiveTensorCounter())
        with (
            repeatable(torch.device('cpu')),
            attribution(counter, self._model, self._optim_wrapper),
            coarse_samples(self._model),
            UnreadGradients(lambda: counter.phase == 'backward'),
        ):
            label_weights(counter, self._model)
            label_survivors(counter, self._model, self._optim_wrapper)
            stand_in.state, stand_in.tops, counter.after_operator = BEFORE, {}, stand_in.note
            at_first = left(stand_in.earlier)
            train_until_update(counter, self._model, batch, self._optim_wrapper)
            gc.collect()
        self._done()
        return Run(batch_size, size, _as_repeated(stand_in.tops, at_first, left(stand_in.earlier), left(counter)))


def _as_repeated(
    tops: dict[Moment, tuple[int, int, int]], at_first: int, at_last: int, leaves: int
) -> dict[Moment, tuple[int, int]]:
    """A step's tops as if the step before had been one of its own batch and size.

    Args:
        tops: see :class:`StandIn`.
        at_first: bytes that the step before had left.
        at_last: those that are there for good.
        leaves: bytes that this step leaves.
    """
    share = leaves / (at_first - at_last) if at_first > at_last else 0.0
    return {moment: (rest + round(share * (old - at_last)), own) for moment, (rest, own, old) in tops.items()}


class HeadFit:
    """The live bytes of a training step beyond its backbone as a function of batch and size.

    Every operator of every module has a fit of its own: the peak may be in another one at another size.

    Args:
        runs: at least four, of two batches and two sizes.

    Attributes:
        moments: those that have a fit.
        at: which of them are of each state of the backbone.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        # What did not run every time depends on the data; something like it did.
        self._keep([moment for moment in runs[0].tops if all(moment in run.tops for run in runs)])
        terms = np.array([_terms(run.batch_size, run.size) for run in runs])
        tops = np.array([self._of(run) for run in runs])
        self._coefficients = np.linalg.lstsq(terms, tops.reshape(len(runs), -1), rcond=None)[0]

    def _keep(self, moments: list[Moment]) -> None:
        states = np.array([moment.backbone for moment in moments])
        self.moments, self.at = moments, {state: states == state for state in STATES}

    def _of(self, run: Run) -> np.ndarray:
        return np.array([run.tops[moment] for moment in self.moments], float)

    def less(self, run: Run, other: Run) -> 'HeadFit':
        """The fit of steps in which fewer outputs learn: what is missing are gradients of outputs, which grow with
        batch and pixels.

        Args:
            run: one of this fit.
            other: the same with fewer outputs that learn.
        """
        made = copy.copy(self)
        there = [moment in other.tops for moment in self.moments]
        made._keep([moment for moment in self.moments if moment in other.tops])
        made._coefficients = self._coefficients.reshape(len(self._coefficients), -1, 2)[:, there].copy()
        missing = made._of(other) - made._of(run)
        made._coefficients[-1] += missing / _terms(run.batch_size, run.size)[-1]
        made._coefficients = made._coefficients.reshape(len(self._coefficients), -1)
        return made

    def tops(self, batch_size: int, size: tuple[int, int]) -> np.ndarray:
        """Of each moment the bytes beyond the backbone, and those of its outputs: moments × 2."""
        return (_terms(batch_size, size) @ self._coefficients).reshape(-1, 2)


def _terms(batch_size: int, size: tuple[int, int]) -> list[float]:
    pixels = size[0] * size[1]
    # Losses of detectors go from image to image: some of what they need is for one image at a time.
    return [1.0, batch_size, pixels, batch_size * pixels]
