"""What is said before the first step, and leaves a training as it is."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from torch import nn
from torch.utils.data import ConcatDataset, Subset
from toy import BACKBONES, METHODS, ToyData

from mmest.engine.header import _memory


class Gathering:
    """Keeps images for later ones, as CachedMosaic does."""

    def __init__(self) -> None:
        self.kept: list[dict] = []

    def __call__(self, results: dict) -> dict:
        self.kept.append(results)
        return results


class Mixed(ToyData):
    def __init__(self) -> None:
        self.gathering = Gathering()
        self.pipeline = Compose([self.gathering])

    def __getitem__(self, index: int) -> dict:
        return self.pipeline(super().__getitem__(index))


@pytest.mark.parametrize(
    'wrap',
    [lambda data: data, lambda data: Subset(data, [3, 4]), lambda data: ConcatDataset([Subset(data, [1]), data])],
)
def test_looking_at_an_image_leaves_nothing_in_the_pipeline(wrap):
    data = Mixed()
    backbone = dict(type='TunedBackbone', backbone=BACKBONES['swin'], tuning=METHODS['est'])
    runner = SimpleNamespace(
        train_dataloader=SimpleNamespace(dataset=wrap(data), batch_size=2),
        cfg=Config(dict(model=dict(backbone=backbone))),
        model=nn.Linear(2, 2),
        optim_wrapper=SimpleNamespace(optimizer=torch.optim.SGD([torch.zeros(1, requires_grad=True)])),
    )
    assert 'for a step at 64×64' in _memory(runner)
    assert data.gathering.kept == [] and data[0] is data.gathering.kept[0]
