"""The views of a data set that trials train and validate on."""

import random
from collections.abc import Iterator

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS


def training_views(cfg: Config, views: int) -> tuple[Iterator[dict], dict]:
    """What the training pipeline makes of every training image, ``views`` times, and the data set's meta information.

    A view depends on its number and its image alone.
    """
    dataset = DATASETS.build(cfg.train_dataloader.dataset)

    def samples() -> Iterator[dict]:
        for view in range(views):
            for i in range(len(dataset)):
                _seed(view * len(dataset) + i)
                yield dataset[i]

    return samples(), dict(dataset.metainfo)


def validation_views(cfg: Config, every: int) -> tuple[Iterator[dict], dict]:
    """Every n-th validation image as its pipeline gives it, and the data set's meta information."""
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    return (dataset[i] for i in range(0, len(dataset), every)), dict(dataset.metainfo)


def _seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)
