"""Backbones that freeze stages of their own: full fine-tuning leaves them frozen, other methods say what trains."""

import pytest
from mmengine.registry import MODELS
from toy import BACKBONES, METHODS

from mmest.configs import read_config


def trained(method: str, frozen_stages: int) -> set[str]:
    backbone = dict(BACKBONES['resnet'], frozen_stages=frozen_stages)
    tuned = MODELS.build(dict(type='TunedBackbone', backbone=backbone, tuning=METHODS[method]))
    found = [{name for name, p in tuned.train(mode).named_parameters() if p.requires_grad} for mode in (True, False)]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize('method', [method for method in METHODS if method != 'full'])
def test_a_method_trains_the_same(method):
    assert trained(method, 2) == trained(method, -1)


def test_full_fine_tuning_is_that_of_the_backbone():
    plain = MODELS.build(dict(BACKBONES['resnet'], frozen_stages=2))
    plain.train()
    assert trained('full', 2) == {f'backbone.{name}' for name, p in plain.named_parameters() if p.requires_grad}
    assert trained('full', 2) < trained('full', -1)


@pytest.mark.parametrize('tuning', ['est', 'full', 'norm_tuning'])
def test_shipped_configs_that_freeze_no_stage_by_a_number_of_their_own(tuning):
    cfg = read_config('mmdet::efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco', tuning=tuning)
    cfg.model.backbone.backbone.init_cfg = None
    assert any(p.requires_grad for p in MODELS.build(cfg.model.backbone).parameters())
