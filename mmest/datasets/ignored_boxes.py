"""Objects that count neither as object nor as background, in the training of detectors."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from mmest.config_parts import parts_of

#: The share of an anchor or a proposal that lies in an ignored object, above which it is not learned from.
MOST = 0.5
_KNOW_THEM = {'MaxIoUAssigner', 'ApproxMaxIoUAssigner', 'ATSSAssigner', 'RotatedATSSAssigner'}


def pass_over_ignored_boxes(model: nn.Module) -> None:
    """Have a detector learn nothing from anchors and proposals in ignored objects, in place: in mmdet's configs
    (``ignore_iof_thr=-1``) they are learned as background. Without ignored objects nothing changes.
    """
    for module in model.modules():
        for value in list(vars(module).values()):
            for assigner in value if isinstance(value, list) else [value]:
                if getattr(assigner, 'ignore_iof_thr', 1) <= 0:
                    assigner.ignore_iof_thr = MOST
                    if type(assigner.iou_calculator).__name__.endswith('Bbox2HBboxOverlaps2D'):
                        assigner.iou_calculator = _StraightAnchors(assigner.iou_calculator)


class _StraightAnchors:
    """mmrotate's overlaps of rotated objects with straight anchors. Ignored objects come second, which it does not
    take: of these it is the straight box that an anchor lies in.
    """

    def __init__(self, overlaps: Callable) -> None:
        self._overlaps = overlaps

    def __call__(self, bboxes1: Any, bboxes2: Any, mode: str = 'iou', is_aligned: bool = False) -> Tensor:
        if mode != 'iof':
            return self._overlaps(bboxes1, bboxes2, mode, is_aligned)
        from mmdet.models.task_modules import BboxOverlaps2D

        return BboxOverlaps2D()(bboxes1, bboxes2.convert_to('hbox'), mode, is_aligned)


def knows_ignored_boxes(model: Any) -> bool:
    """Whether an assigner in the config of a detector can tell ignored objects from background."""
    return any(str(part.get('type')).rpartition('.')[2] in _KNOW_THEM for _, part in parts_of(model))
