"""mmseg's cross entropy with a weight for each class, where some pixels belong to none."""

import functools
from collections.abc import Callable

import torch
from torch import nn


def count_ignored_pixels(model: nn.Module) -> None:
    """Have the losses of a model take class weights and ignored pixels together, in place.

    mmseg 1.2 looks up the weight of every pixel for its mean, those of ignored pixels (255) too: an IndexError. Here an
    ignored pixel counts as one without weights does: not at all under ``avg_non_ignore``, else as 1.

    Args:
        model: a segmentor, or a loss; others stay as they are.
    """
    for module in model.modules():
        criterion = getattr(module, 'cls_criterion', None)
        place = f'{getattr(criterion, "__module__", "")}.{getattr(criterion, "__name__", "")}'
        if place == 'mmseg.models.losses.cross_entropy_loss.cross_entropy' and module.class_weight is not None:
            module.cls_criterion = functools.partial(_weighted, criterion)


def _weighted(
    cross_entropy: Callable,
    score: torch.Tensor,
    label: torch.Tensor,
    *args,
    class_weight: torch.Tensor,
    reduction: str = 'mean',
    avg_factor: float | None = None,
    ignore_index: int = -100,
    avg_non_ignore: bool = False,
    **kwargs,
) -> torch.Tensor:
    if reduction == 'mean' and avg_factor is None:
        ignored = label == ignore_index
        weights = class_weight[label.masked_fill(ignored, 0)]
        avg_factor = weights.masked_fill(ignored, 0.0 if avg_non_ignore else 1.0).sum()
    return cross_entropy(
        score,
        label,
        *args,
        class_weight=class_weight,
        reduction=reduction,
        avg_factor=avg_factor,
        ignore_index=ignore_index,
        avg_non_ignore=avg_non_ignore,
        **kwargs,
    )
