"""What a training step needs beyond its backbone, from small real runs."""

from typing import NamedTuple

import numpy as np

from mmest.measure.memory.timeline import Timeline

from .fake_backbone import BackboneMemory, FakeBackbone

Moment = tuple[str, str, str, str]  # phase, part, module, operator


class Run(NamedTuple):
    """A training step that was measured."""

    batch_size: int
    size: tuple[int, int]
    timeline: Timeline


def _reference(moment: Moment, backbone: BackboneMemory) -> float:
    """What of the backbone is alive in a moment."""
    phase, part = moment[:2]
    if phase == 'optimizer' or part == 'inputs':
        return 0.0
    if part in ('backbone', 'side'):
        return backbone.forward if phase == 'forward' else backbone.backward
    return backbone.held


def _features(batch_size: int, size: tuple[int, int]) -> list[float]:
    pixels = size[0] * size[1]
    # Losses of detectors go from image to image: some of what they need is for one image at a time.
    return [1.0, batch_size, pixels, batch_size * pixels]


class StepFit:
    """The live peak of a training step as a function of batch and size.

    Every operator of every module has a fit of its own: the peak may be in another one at another size.

    Args:
        backbone: that of the model, fake.
        runs: at least four, of two batches and two sizes.
    """

    def __init__(self, backbone: FakeBackbone, runs: list[Run]) -> None:
        self._backbone = backbone
        tops: list[dict[Moment, int]] = []
        for run in runs:
            top: dict[Moment, int] = {}
            for moment in run.timeline.moments:
                top[moment[:4]] = max(top.get(moment[:4], 0), moment.total)
            tops.append(top)
        # What did not run every time depends on the data; something like it did.
        self._moments = [moment for moment in tops[0] if all(moment in top for top in tops)]
        memories = [backbone.memory(run.batch_size, run.size) for run in runs]
        beyond = [
            [top[moment] - _reference(moment, memory) for moment in self._moments]
            for top, memory in zip(tops, memories)
        ]
        features = [_features(run.batch_size, run.size) for run in runs]
        self._coefficients = np.linalg.lstsq(np.array(features), np.array(beyond), rcond=None)[0]

    def peak(self, batch_size: int, size: tuple[int, int]) -> int:
        """Predicted bytes."""
        memory = self._backbone.memory(batch_size, size)
        beyond = np.array(_features(batch_size, size)) @ self._coefficients
        return round(max(extra + _reference(moment, memory) for moment, extra in zip(self._moments, beyond)))
