"""Non-maximum suppression as an operator of torch that has a counterpart in ONNX."""

from typing import Any

import torch
from torch import Tensor

#: Boxes with this score or less are none.
NOTHING = 0.0


@torch.library.custom_op('mmest::suppress', mutates_args=())
def suppress(boxes: Tensor, scores: Tensor, iou: float, most: int) -> Tensor:
    """Places of the boxes that are left, the best first; N, the number of boxes, stands where none is left.

    Args:
        boxes: N×4, x0, y0, x1, y1.
        scores: N; what scores :data:`NOTHING` is none.
        iou: of two boxes that overlap more, the better is left.
        most: how many places there are.
    """
    from mmcv.ops import nms  # which an mmcv without compiled operators lacks

    there = torch.nonzero(scores > NOTHING).flatten()
    _, kept = nms(boxes[there].float(), scores[there].float(), iou)
    left = there[kept[:most]]
    return torch.cat([left, left.new_full((most - len(left),), len(boxes))])


@suppress.register_fake
def _(boxes: Tensor, scores: Tensor, iou: float, most: int) -> Tensor:
    return boxes.new_empty(most, dtype=torch.int64)


def translation() -> dict[Any, Any]:
    """How the exporter of torch writes :func:`suppress`."""
    from onnxscript import opset18 as op

    def in_onnx(boxes, scores, iou, most):
        of_all_classes = op.Constant(value_ints=[most]), op.Constant(value_floats=[iou])
        picked = op.NonMaxSuppression(
            op.Unsqueeze(boxes, op.Constant(value_ints=[0])),
            op.Unsqueeze(scores, op.Constant(value_ints=[0, 1])),
            *of_all_classes,
            op.Constant(value_floats=[NOTHING]),
        )
        places = op.Gather(picked, op.Constant(value_int=2), axis=1)
        none = op.Expand(op.Gather(op.Shape(boxes), op.Constant(value_ints=[0])), op.Constant(value_ints=[most]))
        filled = op.Concat(places, none, axis=0)
        return op.Slice(filled, op.Constant(value_ints=[0]), op.Constant(value_ints=[most]))

    return {torch.ops.mmest.suppress.default: in_onnx}
