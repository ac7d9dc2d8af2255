"""Blocks of a backbone that trains run again in the backward pass, and nothing else comes out."""

import copy

import pytest
import torch
from mmengine.registry import MODELS

from mmest.levers import put_on

RESNET = dict(type='mmdet.ResNet', depth=50, base_channels=4, norm_eval=False)


@pytest.mark.parametrize('method', ['Full', 'NormTuning'])
def test_statistics_take_a_batch_in_once(method):
    torch.manual_seed(0)
    plain = torch.nn.Module()
    plain.backbone = MODELS.build(
        dict(type='TunedBackbone', backbone=RESNET, tuning=dict(type=method), allow_random=True)
    )
    again = copy.deepcopy(plain)
    for module in again.modules():
        if hasattr(module, 'with_cp'):
            module.with_cp = True
    assert put_on(again, ['blocks_recomputed']) == []
    ran: list[int] = []
    again.backbone.backbone.layer1[1].conv2.register_forward_hook(lambda *_: ran.append(1))
    for model in (plain, again):
        for _ in range(2):
            sum(x.square().mean() for x in model.backbone(torch.ones(2, 3, 64, 64).cumsum(3) / 64)).backward()
    assert len(ran) == 4
    before, after = plain.state_dict(), again.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    for (name, one), other in zip(plain.named_parameters(), again.parameters()):
        torch.testing.assert_close(other.grad, one.grad, msg=name)
