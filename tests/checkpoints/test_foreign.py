"""What mmengine wrote without mmest loads everywhere: optimizer, curves of logged values and all."""

import copy
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.registry import MODELS
from mmengine.runner import Runner, load_checkpoint
from toy import METHODS, build, runner_cfg

import mmest
from mmest.checkpoints.safe import load_file
from mmest.engine.export import export
from mmest.engine.launch import check_backbone


@pytest.fixture(scope='module')
def plain(weights, tmp_path_factory):
    """A checkpoint of the toy model that mmengine trained by itself, and its config."""
    folder = tmp_path_factory.mktemp('plain')
    cfg = runner_cfg('swin', METHODS['full'], weights['swin'], folder, epochs=1)
    cfg.model.backbone = cfg.model.backbone.backbone
    cfg.pop('custom_hooks')
    cfg.optim_wrapper = dict(optimizer=dict(type='AdamW', lr=1e-2))
    Runner.from_cfg(cfg).train()
    return folder / 'epoch_1.pth', cfg


def names(text: str):
    """The globals that a checkpoint's pickle calls."""
    import pickletools
    import zipfile

    with zipfile.ZipFile(text) as archive:
        data = archive.read(next(name for name in archive.namelist() if name.endswith('data.pkl')))
    return {argument for code, argument, _ in pickletools.genops(data) if code.name == 'GLOBAL'}


def test_it_holds_what_torch_refuses(plain):
    assert any('getattr' in name for name in names(plain[0]))
    with pytest.raises(Exception, match='HistoryBuffer'):
        torch.load(plain[0], weights_only=True)


def test_the_whole_content_arrives(plain):
    content = load_file(plain[0])
    assert {'optimizer', 'message_hub', 'param_schedulers', 'meta', 'state_dict'} <= set(content)
    curve = content['message_hub']['log_scalars']['train/loss']
    assert len(curve.data[0]) == 3 and curve.mean() > 0


@pytest.mark.parametrize('owner, name', [(OrderedDict, 'fromkeys'), (HistoryBuffer, '__init__')])
def test_getattr_is_allowed_for_the_history_alone(tmp_path, owner, name):
    class Reach:
        def __reduce__(self):
            return getattr, (owner, name)

    torch.save(dict(state_dict={}, x=Reach()), tmp_path / 'x.pth')
    with pytest.raises(ValueError, match='not safe to load .builtins.getattr'):
        load_file(tmp_path / 'x.pth')


@pytest.mark.parametrize('around', ['', 'module.', 'backbone.', 'module.backbone.', 'backbone.backbone.'])
def test_the_prefix_of_a_backbone_is_found_and_said(weights, tmp_path, around):
    state = build('swin').state_dict()
    torch.save(dict(state_dict={around + name: value for name, value in state.items()}), tmp_path / 'x.pth')
    tuned = build('swin', METHODS['est'], tmp_path / 'x.pth')
    tuned.init_weights()
    assert tuned.coverage.share == 1 and tuned.coverage.prefix == around
    assert (f'found under the prefix "{around}"' in str(tuned.coverage)) == bool(around)
    assert all(torch.equal(value, tuned.backbone.state_dict()[name]) for name, value in state.items())


@pytest.mark.parametrize(
    'named',
    [
        lambda file: dict(checkpoint=file),
        lambda file: [dict(type='Kaiming', layer='Conv2d'), dict(type='Pretrained', checkpoint=file)],
    ],
)
def test_weights_are_named_without_a_type_or_among_others(weights, tmp_path, named):
    """As mmdet's configs of PVT do, and as mmengine allows."""
    state = {name: value + 1 for name, value in build('swin').state_dict().items()}
    torch.save(state, tmp_path / 'x.pth')
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path)
    cfg.model.backbone.backbone.init_cfg = named(str(tmp_path / 'x.pth'))
    check_backbone(cfg)
    tuned = MODELS.build(cfg.model.backbone)
    tuned.init_weights()
    assert tuned.coverage.share == 1
    assert all(torch.equal(value, tuned.backbone.state_dict()[name]) for name, value in state.items())
    cfg.model.backbone.backbone.init_cfg = named(str(tmp_path / 'gone.pth'))
    with pytest.raises(FileNotFoundError, match='gone.pth are not there'):
        check_backbone(cfg)


def test_a_trained_model_is_the_start_of_another(plain, weights, tmp_path):
    """Both keys name it: its backbone is the pretrained file, so deltas stay small, and neck and head start from it."""
    file, cfg = plain
    state = load_file(file)['state_dict']
    start = runner_cfg('swin', METHODS['est'], file, tmp_path, load_from=str(file), epochs=1)
    runner = Runner.from_cfg(start)
    seen = {}

    class Look(Hook):
        def before_train(self, runner):
            seen.update({name: value.clone() for name, value in runner.model.state_dict().items()})

    runner.register_hook(Look())
    runner.train()
    for name, value in state.items():
        assert torch.equal(seen[name.replace('backbone.', 'backbone.backbone.', 1)], value), name
    delta = load_file(tmp_path / 'epoch_1.pth')['state_dict']
    assert not any(name.startswith('backbone.backbone.') for name in delta)


def test_without_init_cfg_the_delta_keeps_what_load_from_brought(plain, tmp_path):
    file, _ = plain
    cfg = runner_cfg('swin', METHODS['est'], file, tmp_path, load_from=str(file), epochs=1)
    cfg.model.backbone.backbone.pop('init_cfg')
    Runner.from_cfg(cfg).train()
    delta = load_file(tmp_path / 'epoch_1.pth')['state_dict']
    assert any(name.startswith('backbone.backbone.') for name in delta)


PLAIN = """
import sys, torch
sys.modules['mmest'] = None
sys.path.insert(0, {tests!r})
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import load_checkpoint
import mmdet.models
init_default_scope('mmdet')
content = torch.load({file!r}, weights_only=True)
cfg = Config.fromstring(content['meta']['cfg'], '.py')
print(cfg.model.backbone.type, 'custom_hooks' in cfg, 'custom_imports' in cfg)
backbone = MODELS.build(cfg.model.backbone)
state = {{k[9:]: v for k, v in content['state_dict'].items() if k.startswith('backbone.')}}
print(backbone.load_state_dict(state))
"""


def test_from_a_plain_training_to_a_plain_model(plain, tmp_path):
    """Start, tune by LoRA, export: model and config are those of the framework alone."""
    file, _ = plain
    cfg = runner_cfg('swin', METHODS['lora'], file, tmp_path, load_from=str(file), epochs=1)
    cfg.custom_imports = dict(imports=['mmest'], allow_failed_imports=False)
    runner = Runner.from_cfg(cfg)
    runner.train()
    export(tmp_path / 'epoch_1.pth', tmp_path / 'plain.pth', merge=True)
    program = PLAIN.format(file=str(tmp_path / 'plain.pth'), tests=str(Path(__file__).parents[1]))
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'mmdet.SwinTransformer False False' in done.stdout and 'All keys matched' in done.stdout


def test_heads_of_other_classes_start_fresh_in_training_and_stop_a_prediction(plain, tmp_path, caplog):
    file, _ = plain
    cfg = runner_cfg('swin', METHODS['est'], file, tmp_path, load_from=str(file), epochs=1)
    cfg.model.classes = 5
    fresh = copy.deepcopy(cfg)
    runner = Runner.from_cfg(cfg)
    with caplog.at_level('WARNING'):
        runner.train()
    said = ''.join(path.read_text() for path in tmp_path.rglob('*.log'))
    assert 'They start fresh, and train.' in said
    model = MODELS.build(fresh.model)
    with pytest.raises(
        ValueError, match=r'of the \d+ tensors of ToyModel are not in the checkpoint, first: size mismatch'
    ):
        load_checkpoint(model, str(file))


def test_a_file_of_a_backbone_alone_is_no_start_of_a_model(weights, tmp_path):
    state = build('swin').state_dict()
    torch.save(dict(state_dict=dict(state)), tmp_path / 'swin.pth')
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path, load_from=str(tmp_path / 'swin.pth'))
    with pytest.raises(ValueError, match='Nothing of it fits.*belong into its init_cfg'):
        Runner.from_cfg(cfg).train()


def test_a_model_with_another_backbone_is_no_start(weights, tmp_path):
    state = build('swin').state_dict()
    half = {f'backbone.{name}': value for i, (name, value) in enumerate(state.items()) if i % 2}
    torch.save(dict(state_dict=half), tmp_path / 'half.pth')
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path, load_from=str(tmp_path / 'half.pth'))
    with pytest.raises(ValueError, match='of load_from covers .* belongs to another backbone'):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('method', ['est', 'lora', 'partial'])
def test_beside_noise_nothing_trains_unless_it_is_allowed(tmp_path, method):
    cfg = runner_cfg('swin', METHODS[method], 'none', tmp_path, epochs=1)
    cfg.model.backbone.backbone.pop('init_cfg')
    with pytest.raises(ValueError, match='frozen by .* and has random weights.*allow_random=True'):
        Runner.from_cfg(Config(copy.deepcopy(cfg._cfg_dict))).train()
    cfg.model.backbone.allow_random = True
    Runner.from_cfg(cfg).train()


def test_full_fine_tuning_may_start_from_nothing(tmp_path):
    cfg = runner_cfg('swin', METHODS['full'], 'none', tmp_path, epochs=1)
    cfg.model.backbone.backbone.pop('init_cfg')
    Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('kept', ['parameters', 'no means'])
def test_a_file_without_the_statistics_of_norms_is_no_pretrained_backbone(tmp_path, kept):
    source = build('resnet')
    names = dict(source.named_parameters()) if kept == 'parameters' else source.state_dict()
    state = {name: value for name, value in names.items() if 'running_mean' not in name}
    torch.save(state, tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='not their statistics, first bn1.running_mean: .*state_dict'):
        build('resnet', METHODS['frozen'], checkpoint=str(tmp_path / 'bare.pth')).init_weights()


class Encoder(torch.nn.Module):
    def __init__(self, checkpoint: str) -> None:
        super().__init__()
        self.backbone = build('swin', METHODS['est'], checkpoint=checkpoint)
        self.backbone.init_weights()


class Around(torch.nn.Module):
    """A model whose part has the tuned backbone."""

    def __init__(self, checkpoint: str) -> None:
        super().__init__()
        self.encoder = torch.nn.Sequential(Encoder(checkpoint))
        self.head = torch.nn.Linear(4, 4)


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (None, None),
        (lambda state: state.pop('head.weight'), 'of the .* tensors that were written 1 are missing and 0 have other'),
        (
            lambda state: state['head.weight'].add_(1),
            '0 are missing and 1 have other values, first head.weight',
        ),
        (lambda state: state.pop('encoder.0.backbone.method.blocks.0.reduce.bias'), '1 are missing'),
    ],
)
def test_all_of_a_model_is_looked_at_however_deep_its_backbone_is(weights, tmp_path, change, sentence):
    model = Around(str(weights['swin']))
    mmest.save_delta(model, tmp_path / 'delta.pth')
    content = torch.load(tmp_path / 'delta.pth')
    if change is not None:
        change(content['state_dict'])
    torch.save(content, tmp_path / 'changed.pth')
    again = Around(str(weights['swin']))
    if sentence is None:
        load_checkpoint(again, str(tmp_path / 'changed.pth'))
        assert all(torch.equal(v, again.state_dict()[name]) for name, v in model.state_dict().items())
    else:
        with pytest.raises(ValueError, match=sentence):
            load_checkpoint(again, str(tmp_path / 'changed.pth'))
