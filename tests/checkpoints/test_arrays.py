"""Weights stored as NumPy arrays arrive, and what does not arrive is not counted."""

import numpy as np
import pytest
import torch
from mmengine.runner import Runner, load_checkpoint
from toy import METHODS, build, runner_cfg

from mmest.checkpoints.safe import load_file


def arrays(state):
    return {name: value.numpy() for name, value in state.items()}


@pytest.mark.parametrize('around', [lambda state: state, lambda state: dict(state_dict=state), lambda s: dict(model=s)])
@pytest.mark.parametrize('kind', ['swin', 'resnet'])
def test_a_pretrained_file_of_arrays_gives_its_values(tmp_path, kind, around):
    state = build(kind).state_dict()
    torch.save(around(arrays(state)), tmp_path / 'x.pth')
    tuned = build(kind, METHODS['est'], tmp_path / 'x.pth')
    tuned.init_weights()
    assert tuned.coverage.share == 1
    assert all(torch.equal(value, tuned.backbone.state_dict()[name]) for name, value in state.items())


@pytest.mark.parametrize('method', ['est', 'full'])
def test_a_whole_checkpoint_of_arrays_gives_its_values(weights, tmp_path, method):
    model = Runner.from_cfg(runner_cfg('swin', METHODS[method], weights['swin'], tmp_path)).model
    state = {name: value.clone() for name, value in model.state_dict().items()}
    torch.save(dict(state_dict=arrays(state)), tmp_path / 'x.pth')
    for p in model.parameters():
        p.data.fill_(7)
    load_checkpoint(model, str(tmp_path / 'x.pth'))
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in state.items())


def test_arrays_of_any_layout_and_order_of_bytes(tmp_path):
    grid = np.arange(6, dtype=np.float32).reshape(2, 3)
    forms = dict(swapped=grid.astype('>f4'), columns=np.asfortranarray(grid), half=grid.astype(np.float16))
    torch.save(dict(forms, single=np.array(3), meta=dict(palette=grid)), tmp_path / 'x.pth')
    loaded = load_file(tmp_path / 'x.pth')
    for name in forms:
        assert torch.equal(loaded[name].float(), torch.from_numpy(grid)), name
    assert loaded['single'].shape == () and loaded['single'] == 3
    assert isinstance(loaded['meta']['palette'], np.ndarray)


def test_what_is_no_tensor_does_not_count(tmp_path):
    state = {name: value.tolist() for name, value in build('swin').state_dict().items()}
    torch.save(dict(state), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='holds no weights'):
        build('swin', METHODS['est'], tmp_path / 'x.pth').init_weights()
    torch.save(dict(state, other=torch.zeros(1)), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='covers 0.00%'):
        build('swin', METHODS['est'], tmp_path / 'x.pth').init_weights()


@pytest.mark.parametrize('task', ['predict', 'start of a training'])
@pytest.mark.parametrize('name', ['head.0.weight', 'backbone.backbone.patch_embed.projection.weight'])
def test_a_value_that_cannot_be_copied_stops(weights, tmp_path, task, name):
    model = Runner.from_cfg(runner_cfg('swin', METHODS['full'], weights['swin'], tmp_path)).model
    model.backbone.expects_whole = task == 'predict'
    state = {**model.state_dict(), name: [1.0, 2.0]}
    torch.save(dict(state_dict=state), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match=f'The checkpoint is damaged, .*"{name}"'):
        load_checkpoint(model, str(tmp_path / 'x.pth'))
