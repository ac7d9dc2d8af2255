"""Checkpoints say how large the images of their training were."""

from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmest.pictures import ImageFile
from mmest.pictures.reading import Reading, reading_of

_LOOKED_AT = 64


class ImageSizeHook(Hook):
    """Notes the width and height of the middle one of the training images as ``image_size`` of the data set's meta
    information, which goes into checkpoints. Prediction learns from it how much the config's training resized.
    """

    def before_train(self, runner: Runner) -> None:
        dataset = runner.train_dataloader.dataset
        size = middle_size(dataset, reading_of(runner.cfg))
        if size and isinstance(getattr(dataset, '_metainfo', None), dict):
            dataset._metainfo['image_size'] = size


def middle_size(dataset: Any, reading: Reading | None = None) -> list[int] | None:
    """Width and height of the image that is the middle one by its pixels, by some of a data set.

    Args:
        dataset: of mmengine, or of another kind that says where its images are.
        reading: how the config has images read.

    Returns:
        None where images are not files here.
    """
    sizes = []
    for index in np.unique(np.linspace(0, len(dataset) - 1, _LOOKED_AT).astype(int)).tolist():
        try:
            with ImageFile(dataset.get_data_info(index)['img_path'], **(reading or {})) as image:
                sizes.append([image.width, image.height])
        except (AttributeError, KeyError, TypeError, OSError, ValueError):
            continue  # training says what is wrong with an image
    return sorted(sizes, key=np.prod)[len(sizes) // 2] if sizes else None
