"""mmest export: its sentences, averaged weights, and what its result must not be taken for."""

import re
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner, load_checkpoint
from toy import BACKBONES, METHODS, build, runner_cfg

from mmest.checkpoints import pretrained
from mmest.checkpoints.delta import DELTA_KEY
from mmest.engine.export import export
from mmest.engine.resume import latest_complete_checkpoint


def train(folder: Path, weights: dict, tuning: str = 'est', **changes) -> Runner:
    runner = Runner.from_cfg(runner_cfg('swin', METHODS[tuning], weights['swin'], folder, **changes))
    runner.train()
    return runner


@pytest.fixture(scope='module')
def delta(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp('export') / 'work'
    train(folder, weights)
    return folder / 'epoch_2.pth'


@pytest.fixture
def tool(mmest):
    """Runs the command; returns its exit status: a sentence where it refuses."""
    return lambda *words: mmest('export', *words)


def config(folder: Path, text: str) -> Path:
    path = folder / 'config.py'
    path.write_text(text)
    return path


def test_writes_beside_the_delta_by_default(tool, delta, capsys):
    assert tool(delta) == 0
    out = delta.with_name('epoch_2_whole.pth')
    said = capsys.readouterr().out
    assert f'Wrote {out}' in said and 'It loads where mmest is installed, for it has the modules of its method' in said
    held = torch.load(out, weights_only=True)
    assert set(held) == {'meta', 'state_dict'}
    assert any(key.startswith('backbone.backbone.') for key in held['state_dict'])
    assert any(key.startswith('backbone.method.') for key in held['state_dict'])
    assert not list(delta.parent.glob('*.mmest-part*'))


@pytest.mark.parametrize('tuning, more', [('bitfit', []), ('lora', ['--merge'])])
def test_of_a_plain_model_nothing_is_said_of_mmest(tool, weights, tmp_path, capsys, tuning, more):
    train(tmp_path, weights, tuning)
    assert tool(tmp_path / 'epoch_2.pth', *more) == 0
    said = capsys.readouterr().out
    assert 'Wrote ' in said and 'It loads where mmest is installed' not in said


def test_resume_does_not_take_an_export(delta):
    """It is newer than any checkpoint, whole, and lacks the optimizer."""
    export(delta, delta.with_name('epoch_2_whole.pth'))
    marker = delta.with_name('last_checkpoint')
    named = marker.read_text()
    marker.unlink()
    try:
        assert latest_complete_checkpoint(delta.parent) == delta
    finally:
        marker.write_text(named)


@pytest.mark.parametrize(
    ('trained', 'here', 'sentence'),
    [
        (dict(METHODS['lora'], alpha=32), METHODS['lora'], 'trained by LoRA with alpha=32, but here alpha='),
        (METHODS['est'], dict(METHODS['est'], state_norm=False), 'trained by EST with state_norm=True'),
        (METHODS['est'], METHODS['frozen'], 'belongs to SwinTransformer .* tuned by EST; here is .* Frozen'),
    ],
)
def test_an_export_is_loaded_by_its_own_method_alone(weights, tmp_path, trained, here, sentence):
    Runner.from_cfg(runner_cfg('swin', trained, weights['swin'], tmp_path)).train()
    state = export(tmp_path / 'epoch_2.pth', tmp_path / 'whole.pth')
    same = Runner.from_cfg(runner_cfg('swin', trained, weights['swin'], tmp_path)).model
    load_checkpoint(same, str(tmp_path / 'whole.pth'))
    assert all(torch.equal(value, state[name]) for name, value in same.state_dict().items())
    other = Runner.from_cfg(runner_cfg('swin', here, weights['swin'], tmp_path)).model
    with pytest.raises(ValueError, match=sentence):
        load_checkpoint(other, str(tmp_path / 'whole.pth'))
    if here is METHODS['frozen']:  # as older exports are, and what torch.save() writes of a model
        bare = {key: value for key, value in state.items() if DELTA_KEY not in key}
        torch.save(bare, tmp_path / 'bare.pth')
        with pytest.raises(ValueError, match='tensors of a method for which Frozen has no place'):
            load_checkpoint(other, str(tmp_path / 'bare.pth'))


def test_an_export_in_the_place_of_a_backbones_weights_says_what_it_leaves(weights, tmp_path, monkeypatch):
    train(tmp_path, weights, 'lora')
    export(tmp_path / 'epoch_2.pth', tmp_path / 'whole.pth')
    said = []
    monkeypatch.setattr(pretrained, 'print_log', lambda text, **_: said.append(text))
    build('swin', METHODS['frozen'], checkpoint=str(tmp_path / 'whole.pth')).init_weights()
    assert len(said) == 1 and 'tensors of the method that tuned this backbone, first backbone.method.' in said[0]


@pytest.mark.parametrize('tuning', ['est', 'partial'])
def test_averaged_weights_are_exported(weights, tmp_path, tuning):
    runner = train(tmp_path, weights, tuning, custom_hooks=[dict(type='ESTHook'), dict(type='EMAHook', momentum=0.3)])
    state = export(tmp_path / 'epoch_2.pth', tmp_path / 'whole.pth')
    ema = next(hook for hook in runner.hooks if type(hook).__name__ == 'EMAHook').ema_model.module.state_dict()
    state.pop(f'backbone.{DELTA_KEY}', None)
    wrapped = {
        key if key in ema else key.replace('backbone.', 'backbone.backbone.', 1): value for key, value in state.items()
    }
    assert wrapped.keys() == ema.keys()
    trained = [name for name, p in runner.model.named_parameters() if p.requires_grad]
    assert all(torch.equal(wrapped[name], ema[name]) for name in ema if 'num_batches' not in name)
    assert any(not torch.equal(wrapped[name], runner.model.state_dict()[name]) for name in trained)


@pytest.mark.parametrize(
    'content, sentence',
    [
        ([1, 2], 'has no state_dict'),
        (dict(model=dict(a=torch.ones(1))), 'has no state_dict'),
        (dict(state_dict={}), 'has no config inside; name the one that it was trained with by --config'),
    ],
)
def test_what_is_no_checkpoint_of_a_training(tool, tmp_path, content, sentence):
    torch.save(content, tmp_path / 'file.pth')
    assert sentence in tool(tmp_path / 'file.pth')
    assert not (tmp_path / 'file_whole.pth').exists()


@pytest.mark.parametrize(
    'text, sentence',
    [
        (None, 'There is no config'),
        ('x = (', 'cannot be read: SyntaxError'),
        ('x = 1', 'holds no model'),
        ("model = dict(backbone=dict(type='TunedBackbone'))", 'names no tuning method'),
    ],
)
def test_configs_that_hold_no_model(tool, delta, tmp_path, text, sentence):
    path = tmp_path / 'config.py' if text is None else config(tmp_path, text)
    assert sentence in tool(delta, '--config', path, '--out', tmp_path / 'out.pth')


@pytest.mark.parametrize(
    'change, sentence',
    [
        (dict(type='ToyModle'), 'cannot be built: ToyModle is not in the'),
        (dict(colour='red'), "cannot be built: .*unexpected keyword argument 'colour'"),
    ],
)
@pytest.mark.parametrize('inside', [False, True])
def test_a_config_that_cannot_be_built(tool, delta, weights, tmp_path, change, sentence, inside):
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path)
    cfg.model.update(change)
    if inside:
        file = torch.load(delta)
        file['meta']['cfg'] = cfg.pretty_text
        torch.save(file, tmp_path / 'other.pth')
        said = tool(tmp_path / 'other.pth')
    else:
        cfg.dump(tmp_path / 'config.py')
        said = tool(delta, '--config', tmp_path / 'config.py', '--out', tmp_path / 'out.pth')
    assert re.search(sentence, said)


def test_a_config_of_another_backbone(tool, delta, weights, tmp_path):
    other = runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path)
    other.model.backbone.backbone = dict(
        BACKBONES['resnet'], init_cfg=dict(type='Pretrained', checkpoint=str(weights['resnet']))
    )
    other.dump(tmp_path / 'config.py')
    assert 'belongs to SwinTransformer' in tool(
        delta, '--config', tmp_path / 'config.py', '--out', tmp_path / 'out.pth'
    )
    assert not (tmp_path / 'out.pth').exists()


@pytest.mark.parametrize('share', [0.01, 0.5, 0.99])
def test_truncated_deltas(tool, delta, tmp_path, share):
    whole = delta.read_bytes()
    (tmp_path / 'cut.pth').write_bytes(whole[: int(len(whole) * share)])
    said = tool(tmp_path / 'cut.pth')
    assert said.startswith('export: ') and 'damaged' in said


def test_missing_files(tool, delta, weights, tmp_path):
    assert 'There is no checkpoint file' in tool(tmp_path / 'nowhere.pth')
    lost = runner_cfg('swin', METHODS['est'], tmp_path / 'nowhere.pth', tmp_path)
    lost.dump(tmp_path / 'config.py')
    assert 'nowhere.pth' in tool(delta, '--config', tmp_path / 'config.py', '--out', tmp_path / 'out.pth')


def test_refuses_to_overwrite_any_of_its_sources(tool, delta, weights, tmp_path):
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path)
    cfg.dump(tmp_path / 'config.py')
    for source in (delta, tmp_path / 'config.py', weights['swin']):
        before = source.read_bytes()
        assert 'would overwrite its source' in tool(delta, '--config', tmp_path / 'config.py', '--out', source)
        assert source.read_bytes() == before
