"""What the runs of a case say of a side network, in a sentence."""

from collections.abc import Mapping

import numpy as np

from .parts import Case

#: Points of mIoU; a smaller difference of two runs may be that of two seeds.
CHANCE = 2.0


def verdict(case: Case, miou: Mapping[str, float], classes: Mapping[str, Mapping[str, float]]) -> str:
    """A sentence that follows from what was measured, whatever that is.

    Args:
        case: what was run.
        miou: per cent, by method.
        classes: IoU of each class in per cent, by method.
    """
    full, frozen, est = (miou[method] for method in ('full', 'frozen', 'est'))
    figures = f'mIoU {est:.1f} with EST, {frozen:.1f} with Frozen, {full:.1f} with Full'
    gain = est - frozen
    if gain > CHANCE:
        most = max(classes['est'], key=lambda name: classes['est'][name] - classes['frozen'][name])
        figures += f'; IoU of {most} {classes["est"][most]:.0f} with EST, {classes["frozen"][most]:.0f} with Frozen'
        said, agrees = 'the side network matters', case.gain
    elif gain >= -CHANCE:
        said, agrees = 'the side network does not matter', not case.gain
        if full - frozen > CHANCE:
            figures += '; only training the backbone gives more'
    else:
        said, agrees = 'the side network does harm, take Frozen', False
    if agrees:
        return f'{case.title.capitalize()}: {said}, as {case.reads}, and {case.why} ({figures}).'
    return f'{case.title.capitalize()}: {said}, which was not expected where {case.reads} ({figures}).'


def iou_by_class(pairs: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    """IoU in per cent by class, from numbers of pixels, truth × prediction; classes that do not occur are left out."""
    common = pairs.diagonal()
    union = pairs.sum(0) + pairs.sum(1) - common
    return {name: 100 * float(part / whole) for name, part, whole in zip(names, common, union) if whole}
