"""The views of a data set that trials train and validate on."""

import copy
import random
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS

from mmest.engine.reader import use_reader_of


def training_views(cfg: Config, views: int) -> tuple[Iterator[dict], dict]:
    """What the training pipeline makes of every training image, ``views`` times, and the data set's meta information.

    A view depends on its number and its image alone.
    """
    dataset = _dataset(cfg, 'train_dataloader')

    def samples() -> Iterator[dict]:
        for view in range(views):
            for i in range(len(dataset)):
                _seed(view * len(dataset) + i)
                yield dataset[i]

    return samples(), dict(dataset.metainfo)


def validation_views(cfg: Config) -> tuple[Iterator[dict], dict]:
    """The validation images as their pipeline gives them, and the data set's meta information."""
    dataset = _dataset(cfg, 'val_dataloader')
    return (dataset[i] for i in range(len(dataset))), dict(dataset.metainfo)


def _dataset(cfg: Config, loader: str):
    part = copy.deepcopy(cfg[loader].dataset)
    use_reader_of(cfg, part)
    return DATASETS.build(part)


def _seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)
