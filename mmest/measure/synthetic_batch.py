"""Batches that need no data set: the same for every method and machine."""

from typing import Any

import numpy as np
import torch
from torch import nn

from mmest.backbones.image_channels import channels_of
from mmest.frameworks import framework_of_model, predicts_oriented

#: Objects in every image. Detection losses need memory for their targets, so
#: figures belong to this number.
BOXES_PER_IMAGE = 16
_GRID = 4  # objects stand on a 4 x 4 grid, one per cell
_BOX_SIDES = (0.15, 0.4, 0.65, 0.9)  # of a cell's sides
_PATCHES = 8  # a label map is 8 x 8 patches

_REGION_PROPOSALS = 'RPNHead'  # its one class is "object"


def synthetic_batch(model: nn.Module, size: tuple[int, int], batch_size: int) -> dict[str, list]:
    """A training batch for a detector of mmdet or a segmentor of mmseg.

    Images are random bytes (fixed seed) in the channels C that the backbone takes. Detectors get
    :data:`BOXES_PER_IMAGE` boxes per image on a grid, from small to large, of all classes in turn; masks and label maps
    too if the model's data preprocessor pads them. Segmentors get a label map of 8 x 8 patches, of all classes in turn.

    Args:
        model: the built detector or segmentor.
        size: height and width of the images, in pixels.
        batch_size: number of images.

    Returns:
        ``inputs``, a list of ``batch_size`` uint8 tensors of shape C×H×W, and ``data_samples``, as a data loader yields
        them.

    Raises:
        TypeError: If the model is neither a detector nor a segmentor.
        ValueError: If the size is below 32 pixels or the batch is empty.
    """
    if min(size) < 32 or batch_size < 1:
        raise ValueError(
            'Expected images of at least 32×32 pixels and a batch of at least '
            f'one, found {size[0]}×{size[1]} and {batch_size}.'
        )
    sample = _detection_sample if framework_of_model(model).detects else _segmentation_sample
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (batch_size, channels_of(model), *size), generator=generator, dtype=torch.uint8)
    return dict(inputs=list(images.unbind()), data_samples=[sample(model, size, i) for i in range(batch_size)])


def _metainfo(size: tuple[int, int], index: int) -> dict[str, Any]:
    return dict(
        img_id=index,
        img_path=f'synthetic_{index}.png',
        ori_shape=size,
        img_shape=size,
        pad_shape=size,
        scale_factor=(1.0, 1.0),
        flip=False,
        flip_direction=None,
    )


def _detection_sample(model: nn.Module, size: tuple[int, int], index: int):
    from mmdet.structures import DetDataSample
    from mmdet.structures.bbox import HorizontalBoxes
    from mmengine.structures import InstanceData, PixelData

    boxes = _boxes(size)
    labels = torch.arange(BOXES_PER_IMAGE) % _num_classes(model)
    kind = 'rbox' if predicts_oriented(model) else 'hbox'
    instances = InstanceData(bboxes=HorizontalBoxes(boxes).convert_to(kind), labels=labels)
    sample = DetDataSample(metainfo=_metainfo(size, index))
    preprocessor = model.data_preprocessor
    if getattr(preprocessor, 'pad_mask', False):
        instances.masks = _masks(boxes, size)
    if getattr(preprocessor, 'pad_seg', False):
        sample.gt_sem_seg = PixelData(sem_seg=_label_map(size, _num_classes(model)))
    sample.gt_instances = instances
    sample.ignored_instances = InstanceData(
        bboxes=HorizontalBoxes(boxes.new_zeros(0, 4)).convert_to(kind), labels=labels.new_zeros(0)
    )
    return sample


def _segmentation_sample(model: nn.Module, size: tuple[int, int], index: int):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    return SegDataSample(
        metainfo=_metainfo(size, index), gt_sem_seg=PixelData(data=_label_map(size, _num_classes(model)))
    )


def _num_classes(model: nn.Module) -> int:
    """A number of classes that every head of the model can take."""
    counts: list[int] = [
        module.num_classes
        for module in model.modules()
        if isinstance(getattr(module, 'num_classes', None), int)
        and not any(base.__name__ == _REGION_PROPOSALS for base in type(module).__mro__)
    ]
    return max(min(counts, default=1), 1)


def _boxes(size: tuple[int, int]) -> torch.Tensor:
    """Corners (x1, y1, x2, y2) in pixels, ``BOXES_PER_IMAGE`` × 4."""
    height, width = size[0] / _GRID, size[1] / _GRID
    corners = []
    for i in range(BOXES_PER_IMAGE):
        row, column = divmod(i, _GRID)
        x, y = (column + 0.5) * width, (row + 0.5) * height
        half = _BOX_SIDES[(row + column) % len(_BOX_SIDES)] / 2
        corners.append((x - half * width, y - half * height, x + half * width, y + half * height))
    return torch.tensor(corners)


def _masks(boxes: torch.Tensor, size: tuple[int, int]):
    from mmdet.structures.mask import BitmapMasks

    masks = np.zeros((len(boxes), *size), dtype=np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes.long().tolist()):
        mask[y1 : y2 + 1, x1 : x2 + 1] = 1
    return BitmapMasks(masks, *size)


def _label_map(size: tuple[int, int], num_classes: int) -> torch.Tensor:
    """Classes in patches, 1×H×W, int64."""
    rows = torch.arange(size[0]) * _PATCHES // size[0]
    columns = torch.arange(size[1]) * _PATCHES // size[1]
    return ((rows[:, None] * _PATCHES + columns) % num_classes)[None]
