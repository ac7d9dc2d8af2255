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


def pixels_that_count(
    label: torch.Tensor, class_weight: torch.Tensor | None, ignore_index: int, avg_non_ignore: bool
) -> torch.Tensor | float:
    """What the mean of the cross entropy over pixels divides by.

    Args:
        label: class numbers, of any shape.
        class_weight: of each class, or None.
        ignore_index: the number of pixels without a class.
        avg_non_ignore: whether those do not count; else each counts as 1.
    """
    ignored = label == ignore_index
    if class_weight is None:
        return label.numel() - ignored.sum() if avg_non_ignore else label.numel()
    weights = class_weight[label.masked_fill(ignored, 0)]
    return weights.masked_fill(ignored, 0.0 if avg_non_ignore else 1.0).sum()


def _weighted(
    cross_entropy: Callable,
    score: torch.Tensor,
    label: torch.Tensor,
    *args,
    class_weight: torch.Tensor,
    reduction: str = 'mean',
    avg_factor: torch.Tensor | float | None = None,
    ignore_index: int = -100,
    avg_non_ignore: bool = False,
    **kwargs,
) -> torch.Tensor:
    if reduction == 'mean' and avg_factor is None:
        avg_factor = pixels_that_count(label, class_weight, ignore_index, avg_non_ignore)
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
