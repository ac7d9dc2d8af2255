"""A finite augmentation, whatever the pipeline: each image is seen in a fixed number of views."""

import random

import numpy as np
import torch
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS

from mmest.config_parts import kind_of, parts_of
from mmest.random_numbers import untouched_random_numbers


@TRANSFORMS.register_module()
class FixedViews:
    """A pipeline of which each image has a few fixed results, one of which is drawn.

    What view v of image i looks like (its flips, turns, crop, colours) depends on v and i alone, so that all trainings
    on a data set see the same views; which of them comes depends on the random numbers of the training.

    Args:
        views: of each image.
        transforms: configs of the pipeline.
    """

    def __init__(self, views: int, transforms: list[dict]) -> None:
        self.views = views
        self.pipeline = Compose(transforms)

    def __call__(self, results: dict) -> dict | None:
        """What the pipeline makes of what a data set says of an image, ``sample_idx`` among it."""
        number = results['sample_idx'] * self.views + np.random.randint(self.views)
        with untouched_random_numbers():
            random.seed(number)
            np.random.seed(number)
            torch.default_generator.manual_seed(number)
            return self.pipeline(results)


def use_views(loader: dict, views: int) -> None:
    """Have a data set give a few views of each image, in place.

    Args:
        loader: the config of a data loader.
        views: of each image.

    Raises:
        ValueError: the data set mixes several images into one.
    """
    for _, part in parts_of(loader['dataset'], without=['pipeline']):
        if kind_of(part) == 'MultiImageMixDataset':
            raise ValueError(
                'The feature cache keeps views of single images, but MultiImageMixDataset mixes several into one; take '
                'it out of train_dataloader.dataset, or leave out --cache-features.'
            )
        if part.get('pipeline'):
            part['pipeline'] = [dict(type='FixedViews', views=views, transforms=part['pipeline'])]
