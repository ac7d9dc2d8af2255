"""Losses of a batch that is on the device already, by the model's own code, and without a wait for the device."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from mmengine.structures import InstanceData, PixelData
from torch import Tensor, nn

from .batches import Batches


def losses_of(model: nn.Module, batches: Batches, at: Tensor) -> Callable[[], dict]:
    """What gives the losses of the batch number ``at``, a tensor of one number that may change.

    Targets of a detector's anchors come from the batches, so its head is changed in place: it trains on no others.

    Raises:
        ValueError: the model pads images of this size.
    """
    _refuse_padding(model.data_preprocessor, tuple(batches['images'].shape[-2:]))
    detects = 'boxes' in batches
    prepare = _boxes_of(model, batches, at) if detects else _masks_of(batches, at)
    without_waits = _no_looks_at_values if detects else _no_training_accuracy
    swap = _swaps_channels(model.data_preprocessor)
    mean, std = model.data_preprocessor.mean, model.data_preprocessor.std

    def losses() -> dict:
        images = batches['images'].index_select(0, at)[0]
        images = ((images.flip(1) if swap else images).float() - mean) / std
        with without_waits():
            return model(images, prepare(), mode='loss')

    return losses


def _refuse_padding(preprocessor: nn.Module, size: tuple[int, int]) -> None:
    wanted = getattr(preprocessor, 'size', None) or size
    divisor = getattr(preprocessor, 'pad_size_divisor', 1)
    if tuple(wanted) != size or any(length % divisor for length in size):
        raise ValueError(
            f'Trainings side by side do not pad, but the data preprocessor makes images of {size[0]}×{size[1]} larger '
            f'(size={wanted}, pad_size_divisor={divisor}). Let the pipeline give them their final size.'
        )


def _swaps_channels(preprocessor: nn.Module) -> bool:
    return getattr(preprocessor, '_channel_conversion', getattr(preprocessor, 'channel_conversion', False))


def _masks_of(batches: Batches, at: Tensor) -> Callable[[], list]:
    from mmseg.structures import SegDataSample

    def samples() -> list:
        masks = batches['masks'].index_select(0, at)[0].long()
        return [SegDataSample(gt_sem_seg=PixelData(data=mask[None])) for mask in masks]

    return samples


def _boxes_of(model: nn.Module, batches: Batches, at: Tensor) -> Callable[[], list]:
    from mmdet.structures import DetDataSample

    head, (height, width) = model.bbox_head, batches['images'].shape[-2:]
    meta = dict(img_shape=(height, width), pad_shape=(height, width), batch_input_shape=(height, width))
    count = batches['images'].shape[1]
    sizes = [(-(-height // stride[1]), -(-width // stride[0])) for stride in head.prior_generator.strides]
    anchors = head.get_anchors(sizes, [meta] * count, device=at.device)
    lengths = [len(level) for level in anchors[0][0]]

    def targets(*_, **__) -> tuple:
        labels, weights, boxes, positives = (
            batches[key].index_select(0, at)[0] for key in ('labels', 'label_weights', 'boxes', 'positives')
        )
        labels = labels.long()
        box_weights = (labels < head.num_classes).to(boxes)[..., None].expand_as(boxes)
        by_level = [part.split(lengths, 1) for part in (labels, weights, boxes, box_weights)]
        return (*by_level, positives)

    head.get_anchors, head.get_targets = lambda *_, **__: anchors, targets
    return lambda: [DetDataSample(metainfo=meta, gt_instances=InstanceData()) for _ in range(count)]


@contextmanager
def _no_training_accuracy() -> Iterator[None]:
    """A segmentation head reports its accuracy beside its loss, for which it would wait for the device."""
    with mock.patch('mmseg.models.decode_heads.decode_head.accuracy', lambda *_, **__: torch.zeros(())):
        yield


@contextmanager
def _no_looks_at_values() -> Iterator[None]:
    """Losses of mmdet look at numbers for which they would wait for the device. An L1 loss asks whether all weights are
    zero, where its usual way gives zero, too; on a card the focal loss takes a kernel of mmcv that asks for the largest
    label, but not where labels are one-hot.
    """
    from mmdet.models.losses import FocalLoss

    forward = FocalLoss.forward

    def of_one_hot(self: nn.Module, scores: Tensor, labels: Tensor, *args, **kwargs) -> Tensor:
        classes = torch.arange(scores.shape[1], device=labels.device)
        return forward(self, scores, (labels[:, None] == classes).long(), *args, **kwargs)

    with (
        mock.patch.object(FocalLoss, 'forward', of_one_hot),
        mock.patch('mmdet.models.losses.smooth_l1_loss.torch.any', lambda *_, **__: True),
    ):
        yield
