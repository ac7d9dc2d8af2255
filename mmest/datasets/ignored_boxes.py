"""Objects that count neither as object nor as background, in the training of detectors."""

import inspect
from typing import Any

from torch import Tensor, nn

from mmest.config_parts import kind_of, parts_of

#: The share of an anchor or a proposal that lies in an ignored object, above which it is no background.
MOST = 0.5
_KNOW_THEM = {'MaxIoUAssigner', 'ApproxMaxIoUAssigner', 'ATSSAssigner', 'RotatedATSSAssigner'}


def pass_over_ignored_boxes(model: nn.Module) -> None:
    """Have a detector learn no background from anchors and proposals in ignored objects, in place: in mmdet's configs
    (``ignore_iof_thr=-1``) it does. Without ignored objects nothing changes.

    mmdet's own ``ignore_iof_thr`` leaves anchors out before they are assigned, and so those of objects that lie in an
    ignored one too, such as a car on a field that the border of a tile cuts.
    """
    for module in model.modules():
        for value in list(vars(module).values()):
            for assigner in value if isinstance(value, list) else [value]:
                if getattr(assigner, 'ignore_iof_thr', 1) <= 0 and 'assign' not in vars(assigner):
                    assigner.assign = _Assign(assigner)


class _Assign:
    """``assign`` of an assigner, after which the background in ignored objects is left out.

    Args:
        assigner: one whose results have an object's number from 1 on, 0 for background and -1 for what is left out.
    """

    def __init__(self, assigner: Any) -> None:
        self._assigner, self._assign = assigner, assigner.assign
        self._signature = inspect.signature(assigner.assign)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self._assign(*args, **kwargs)
        given = self._signature.bind(*args, **kwargs).arguments
        priors, ignored = given['pred_instances'].priors, given.get('gt_instances_ignore')
        if ignored is not None and len(ignored) and len(priors):
            share = self._shares(priors, ignored.bboxes).max(dim=1).values
            left_out = (result.gt_inds == 0) & (share > MOST)
            if not left_out.all():  # a head of regions that is shown none has no loss
                result.gt_inds[left_out] = -1
        return result

    def _shares(self, priors: Any, ignored: Any) -> Tensor:
        """The share of each of N priors that lies in each of K ignored objects: N×K."""
        overlaps = self._assigner.iou_calculator
        if type(overlaps).__name__.endswith('Bbox2HBboxOverlaps2D'):
            # mmrotate's for straight anchors takes rotated objects first. It is their straight box that anchors lie in.
            from mmdet.models.task_modules import BboxOverlaps2D

            overlaps, ignored = BboxOverlaps2D(), ignored.convert_to('hbox')
        return overlaps(priors, ignored, mode='iof')


def knows_ignored_boxes(model: Any) -> bool:
    """Whether an assigner in the config of a detector can tell ignored objects from background."""
    return any(kind_of(part) in _KNOW_THEM for _, part in parts_of(model))
