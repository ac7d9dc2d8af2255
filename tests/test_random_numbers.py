"""What builds models on the CPU leaves random numbers as they were, and asks no card for its own."""

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from mmengine.config import Config
from toy import METHODS, build

from mmest.backbones.tuned_backbone import TunedBackbone
from mmest.benchmark.families.members import Member
from mmest.configs import configs_root
from mmest.measure.ready import prepare


def tuned() -> Callable:
    backbone = build('swin')
    return lambda: TunedBackbone(backbone, METHODS['est'])


def prepared() -> Callable:
    cfg = Config.fromfile(configs_root() / 'demo' / 'fpn_swin_est.py')
    return lambda: prepare(cfg, METHODS['est'], (64, 64))


def member() -> Callable:
    return Member('ResNet', 'mmdet', 'ResNet', dict(depth=18, base_channels=8)).build


@pytest.mark.parametrize('builder', [tuned, prepared, member])
def test_a_model_that_is_built_on_the_cpu_asks_no_card(monkeypatch, builder):
    def asked(*_):
        raise AssertionError('A card was asked for its random numbers, or had them changed.')

    def drawn() -> list[float]:
        return [random.random(), np.random.rand(), float(torch.rand(()))]

    run = builder()
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    expected = drawn()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    for name in ('get_rng_state', 'set_rng_state', 'manual_seed_all'):
        monkeypatch.setattr(torch.cuda, name, asked)
    run()
    assert drawn() == expected
