"""Objects that count neither as object nor as background, in the training of detectors."""

from typing import Any

from torch import nn

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


def knows_ignored_boxes(part: Any) -> bool:
    """Whether an assigner in the config of a detector can tell ignored objects from background."""
    if isinstance(part, dict):
        if str(part.get('type')).rpartition('.')[2] in _KNOW_THEM:
            return True
        part = list(part.values())
    return isinstance(part, (list, tuple)) and any(map(knows_ignored_boxes, part))
