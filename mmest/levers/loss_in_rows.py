"""A segmentor's loss in chunks of rows: logits of the labels' size never exist at once."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from torch import Tensor, nn

from mmest.anatomy.hooks import override
from mmest.datasets.class_weights import pixels_that_count
from mmest.frameworks import framework_of
from mmest.levers.base import Lever
from mmest.levers.heads_recomputed import decode_heads
from mmest.levers.recomputing import recomputed

_CHUNK, _LEAST_ROWS = 2**20, 8  # bytes of a chunk's logits, unless they are of fewer rows
_EPS = torch.finfo(torch.float32).eps


class LossInRows(Lever):
    """mmseg's heads interpolate their logits to the size of the labels, which costs several times the bytes of
    B×classes×H×W. Here it is done for some rows at a time, and again in the backward pass.

    For cross entropy of classes that exclude each other, one or several, with class weights and ignored pixels; heads
    with other losses or with a sampler of pixels stay as they are.
    """

    name = 'loss_in_rows'
    does = "compute a segmentor's loss for some rows at a time"
    order = 40

    def unsuited(self, cfg: Config) -> str | None:
        return 'a detector has no loss over all pixels' if framework_of(cfg).detects else None

    def put_on(self, model: nn.Module) -> list[str]:
        said = []
        for head in decode_heads(model):
            hindrance = _hindrance(head)
            if hindrance:
                said.append(f'{type(head).__name__} computes its loss from whole logits: {hindrance}.')
            else:
                override(head, 'loss_by_feat', _loss_by_feat)
        return said


def _losses(head: Any) -> Sequence[nn.Module]:
    return list(head.loss_decode) if isinstance(head.loss_decode, nn.ModuleList) else [head.loss_decode]


def _hindrance(head: Any) -> str | None:
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead
    from mmseg.models.losses import CrossEntropyLoss

    if type(head).loss_by_feat is not BaseDecodeHead.loss_by_feat:
        return 'it has a way of its own'
    if head.sampler is not None:
        return f'{type(head.sampler).__name__} chooses pixels by the losses of all'
    for loss in _losses(head):
        if type(loss) is not CrossEntropyLoss:
            return f'{type(loss).__name__} is no sum over pixels that is known here'
        if loss.use_sigmoid or loss.use_mask or loss.reduction == 'none':
            return 'its CrossEntropyLoss is not that of classes that exclude each other, summed up'
    return None


def _loss_by_feat(inner: Callable, head: Any, seg_logits: Tensor, batch_data_samples: Sequence) -> dict[str, Tensor]:
    label = head._stack_batch_gt(batch_data_samples).squeeze(1)
    losses = _losses(head)
    row = seg_logits.shape[0] * seg_logits.shape[1] * label.shape[2] * 4
    height, step = label.shape[1], max(_LEAST_ROWS, _CHUNK // row)
    if step >= height:
        return inner(head, seg_logits, batch_data_samples)
    totals: list[Any] = [0.0] * len(losses)
    correct: Any = 0
    for start in range(0, height, step):
        rows = range(start, min(start + step, height))
        *sums, right = recomputed(head, partial(_sums, head, losses, rows), seg_logits, label)
        totals = [total + one for total, one in zip(totals, sums)]
        correct = correct + right
    found: dict[str, Tensor] = {}
    for loss, total in zip(losses, totals):
        value = total if loss.reduction == 'sum' else total / (_counted(head, loss, seg_logits, label) + _EPS)
        found[loss.loss_name] = found[loss.loss_name] + value if loss.loss_name in found else value
    pixels = (label != head.ignore_index).sum()
    found['acc_seg'] = (correct + _EPS) * 100.0 / (pixels + _EPS)
    return found


def _sums(head: Any, losses: Sequence[nn.Module], rows: range, seg_logits: Tensor, label: Tensor) -> list[Tensor]:
    """Of some rows of the labels' size: each loss summed over their pixels, and the pixels that are classified right,
    as a tensor of one.
    """
    logits = interpolated_rows(seg_logits.float(), rows, tuple(label.shape[1:]), head.align_corners)
    label = label[:, rows.start : rows.stop]
    sums = [loss(logits, label, ignore_index=head.ignore_index, reduction_override='sum') for loss in losses]
    right = (logits.detach().argmax(1) == label) & (label != head.ignore_index)
    return [*sums, right.sum().float().reshape(1)]


def _counted(head: Any, loss: Any, logits: Tensor, label: Tensor) -> Tensor | float:
    """What mmseg's mean divides by."""
    weights = None if loss.class_weight is None else logits.new_tensor(loss.class_weight, dtype=torch.float32)
    return pixels_that_count(label, weights, head.ignore_index, loss.avg_non_ignore)


def interpolated_rows(x: Tensor, rows: range, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Some rows of what bilinear interpolation of a map to a size gives.

    Args:
        x: B×C×H×W.
        rows: of the result.
        size: of the whole result.
        align_corners: see ``torch.nn.functional.interpolate``.

    Returns:
        B×C×rows×width.
    """
    height, wanted = x.shape[2], size[0]
    at = torch.arange(rows.start, rows.stop, device=x.device, dtype=torch.float32)
    if align_corners:
        at = at * ((height - 1) / max(wanted - 1, 1))
    else:
        at = ((at + 0.5) * (height / wanted) - 0.5).clamp(min=0)
    low = at.long()
    high = (low + 1).clamp(max=height - 1)
    share = (at - low)[:, None]
    mixed = x[:, :, low] * (1 - share) + x[:, :, high] * share
    return F.interpolate(mixed, (len(rows), size[1]), mode='bilinear', align_corners=align_corners)
