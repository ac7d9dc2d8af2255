"""What mmengine is told to run again in the backward pass trains as without."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import nn
from toy import METHODS, ToyModel, runner_cfg

from mmest.engine.recomputation import Recomputation


@MODELS.register_module(force=True)
class WithNeck(ToyModel):
    """Takes all maps at once, as necks do."""

    def __init__(self, backbone: dict) -> None:
        super().__init__(backbone)
        self.neck = Neck([head.in_channels for head in self.head])
        self.backbone.register_forward_hook(lambda _, args, maps: self.neck(maps))


class Neck(nn.Module):
    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Sequential(nn.Conv2d(c, c, 1), nn.BatchNorm2d(c)) for c in channels)

    def forward(self, maps: tuple) -> tuple:
        return tuple(level(x) for level, x in zip(self.levels, maps))


def train(weights, folder, method: str, **changes) -> nn.Module:
    cfg = runner_cfg('pvt', METHODS[method], weights['pvt'], folder, 1, model=dict(type='WithNeck'), **changes)
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner.model


@pytest.mark.parametrize('method', ['est', 'frozen'])
def test_a_neck_that_runs_again_trains_as_without(weights, tmp_path, method):
    without = train(weights, tmp_path / 'without', method)
    again = train(weights, tmp_path / 'again', method, activation_checkpointing=['neck'])
    for (name, value), other in zip(without.state_dict().items(), again.state_dict().values()):
        assert torch.allclose(value, other, atol=1e-6), name


@pytest.mark.parametrize('named', ['backbone', ['backbone'], ['backbone.method']])
def test_a_backbone_that_runs_again_in_this_way_is_refused(weights, tmp_path, named):
    with pytest.raises(ValueError, match='gradients vanish in silence'):
        train(weights, tmp_path, 'est', activation_checkpointing=named)


def test_what_is_around_a_backbone_is_refused_too(weights, tmp_path):
    around = nn.Module()
    around.student = ToyModel(dict(runner_cfg('pvt', METHODS['est'], weights['pvt'], tmp_path).model.backbone))
    runner = SimpleNamespace(model=around, cfg=dict(activation_checkpointing='student'))
    with pytest.raises(ValueError, match='activation_checkpointing names "student", .* gradients vanish in silence'):
        Recomputation().before_train(runner)
