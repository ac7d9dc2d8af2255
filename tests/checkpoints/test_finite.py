"""Weights that are no numbers are refused where they are loaded."""

import pytest
import torch
from mmengine.runner import Runner, load_checkpoint
from toy import METHODS, build, runner_cfg


def spoilt(state, name, value):
    state = {key: tensor.clone() for key, tensor in state.items()}
    state[name].view(-1)[-1] = value
    return state


PRETRAINED = [
    ('swin', 'stages.1.blocks.0.norm1.weight', float('nan')),
    ('swin', 'patch_embed.projection.weight', float('inf')),
    ('resnet', 'layer2.0.conv1.weight', -float('inf')),
    ('resnet', 'bn1.running_var', float('nan')),
]


@pytest.mark.parametrize('kind, name, value', PRETRAINED)
@pytest.mark.parametrize('method', ['est', 'full'])
def test_a_pretrained_file(tmp_path, kind, name, value, method):
    torch.save(spoilt(build(kind).state_dict(), name, value), tmp_path / 'spoilt.pth')
    with pytest.raises(ValueError, match=f'spoilt.pth holds values that are no finite numbers, first in {name}: '):
        build(kind, METHODS[method], tmp_path / 'spoilt.pth').init_weights()


@pytest.mark.parametrize('name', ['head.0.weight', 'backbone.backbone.patch_embed.projection.weight'])
@pytest.mark.parametrize('whole', [True, False], ids=['prediction', 'start of a training'])
def test_a_whole_checkpoint(weights, tmp_path, name, whole):
    model = Runner.from_cfg(runner_cfg('swin', METHODS['full'], weights['swin'], tmp_path)).model
    model.backbone.expects_whole = whole
    torch.save(dict(state_dict=spoilt(model.state_dict(), name, float('nan'))), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=f'The checkpoint holds values .*, first in {name}: '):
        load_checkpoint(model, str(tmp_path / 'x.pth'))


def test_what_is_fresh_is_not_blamed_on_the_checkpoint(weights, tmp_path):
    model = Runner.from_cfg(runner_cfg('swin', METHODS['full'], weights['swin'], tmp_path)).model
    model.backbone.expects_whole = False
    state = dict(model.state_dict())
    model.head[0].weight.data.fill_(float('nan'))
    del state['head.0.weight']
    torch.save(dict(state_dict=state), tmp_path / 'x.pth')
    load_checkpoint(model, str(tmp_path / 'x.pth'))


def test_integers_and_infinite_masks_are_let_pass(tmp_path):
    state = build('swin').state_dict()
    torch.save(state, tmp_path / 'x.pth')
    tuned = build('swin', METHODS['est'], tmp_path / 'x.pth')
    tuned.backbone.register_buffer('mask', torch.zeros(2))
    torch.save({**state, 'mask': torch.full((2,), -float('inf'))}, tmp_path / 'x.pth')
    tuned.init_weights()
    assert tuned.backbone.mask.isinf().all()
