"""Contract 5 and 6: delta checkpoints are whole and checked, pretrained weights are proven. Over methods and
backbones.
"""

import copy
import functools
import shutil

import pytest
import torch
from mmengine.runner import Runner, load_checkpoint
from toy import METHODS, build, image, runner_cfg

from mmest.checkpoints.delta import DELTA_KEY, decode_info, encode_info
from mmest.checkpoints.digests import digests
from mmest.engine.optim import TrainableOptimWrapperConstructor, merge_groups

CASES = [(name, method) for method in METHODS for name in ('swin', 'resnet')] + [('vit', 'est'), ('vit', 'partial')]
# Averaging looks at parameters, not at methods: one beside the backbone, one in its forward pass, one in its place, one
# that trains some of its weights, all, and none.
AVERAGED = ('est', 'mona', 'lora', 'partial', 'full', 'frozen')


def runner(*args, **kwargs):
    return Runner.from_cfg(runner_cfg(*args, **kwargs))


@pytest.fixture(scope='module')
def trained(tmp_path_factory, weights):
    """Trains each case once: (model, folder) by case."""

    @functools.cache
    def get(name, method, ema=False, epochs=1):
        work_dir = tmp_path_factory.mktemp(f'{name}-{method}')
        changes = dict(custom_hooks=[dict(type='ESTHook'), dict(type='EMAHook', momentum=0.3)]) if ema else {}
        r = runner(name, METHODS[method], weights[name], work_dir, epochs=epochs, **changes)
        r.train()
        return r.model.eval(), work_dir

    return get


@pytest.mark.parametrize('name, method', CASES)
def test_contents(name, method, trained):
    model, folder = trained(name, method, False)
    file = torch.load(folder / 'epoch_1.pth', weights_only=True)  # plain types only
    state = file['state_dict']
    frozen = {f'backbone.backbone.{key}' for key, _ in model.backbone.frozen_state()}
    own = model.state_dict()
    assert set(state) - {f'backbone.{DELTA_KEY}'} == set(own) - frozen
    assert f'backbone.{DELTA_KEY}' in state
    assert all(torch.equal(state[key], own[key]) for key in state if DELTA_KEY not in key)
    held = sum(len(group['params']) for group in file['optimizer']['param_groups'])
    assert held == sum(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(
    'name, method, ema', [(*case, False) for case in CASES] + [('swin', method, True) for method in AVERAGED]
)
def test_a_fresh_model_becomes_the_trained_one(name, method, ema, trained, weights, tmp_path):
    model, folder = trained(name, method, ema)
    fresh = runner(name, METHODS[method], weights[name], tmp_path, load_from=str(folder / 'epoch_1.pth'))
    fresh.load_or_resume()
    other = fresh.model.eval()
    with torch.no_grad():
        same = torch.equal(model(image()), other(image()))
    assert same != (ema and any(p.requires_grad for p in model.parameters())), (
        'with EMA the averaged weights are loaded'
    )
    assert digests(model.backbone.frozen_state()) == digests(other.backbone.frozen_state())
    if ema:
        average = torch.load(folder / 'epoch_1.pth')
        raw = {key[7:]: value for key, value in average['ema_state_dict'].items() if key.startswith('module.')}
        other.load_state_dict(raw, strict=False)
        with torch.no_grad():
            assert torch.equal(model(image()), other(image()))


@pytest.mark.parametrize('name, method', [('swin', 'est'), ('resnet', 'partial'), ('swin', 'full')])
@pytest.mark.parametrize('ema', [False, True])
def test_resumes_the_same_curve(name, method, ema, trained, weights, tmp_path):
    model, folder = trained(name, method, ema, epochs=2)
    shutil.copy(folder / 'epoch_1.pth', tmp_path)
    hooks = [dict(type='ESTHook')] + ([dict(type='EMAHook', momentum=0.3)] if ema else [])
    again = runner(
        name,
        METHODS[method],
        weights[name],
        tmp_path,
        custom_hooks=hooks,
        resume=True,
        load_from=str(tmp_path / 'epoch_1.pth'),
    )
    again.train()
    assert digests(model.state_dict().items()) == digests(again.model.state_dict().items())
    a, b = (torch.load(path / 'epoch_2.pth') for path in (folder, tmp_path))
    losses = [file['message_hub']['log_scalars']['train/loss']['history_buffer'][0] for file in (a, b)]
    assert torch.equal(*losses) and len(losses[0]) == 6


def delta_of(trained, name='swin', method='est'):
    return trained(name, method)[1] / 'epoch_1.pth'


def test_refuses_other_weights_of_the_same_backbone(trained, tmp_path):
    other = build('swin')
    torch.save(other.state_dict(), tmp_path / 'other.pth')
    tuned = runner('swin', METHODS['est'], tmp_path / 'other.pth', tmp_path).model
    with pytest.raises(ValueError, match='another fingerprint than those of SwinTransformer'):
        load_checkpoint(tuned, str(delta_of(trained)))


def test_refuses_another_backbone(trained, weights, tmp_path):
    model = runner('resnet', METHODS['est'], weights['resnet'], tmp_path).model
    with pytest.raises(ValueError, match='belongs to SwinTransformer with .* here is ResNet with'):
        load_checkpoint(model, str(delta_of(trained)))


@pytest.mark.parametrize(
    'tuning', [dict(type='Frozen'), dict(type='EST', reduction=1), dict(type='EST', taps='block'), dict(type='Partial')]
)
def test_refuses_another_method(trained, weights, tmp_path, tuning):
    model = runner('swin', tuning, weights['swin'], tmp_path).model
    with pytest.raises(ValueError, match='Use the config that it was trained with'):
        load_checkpoint(model, str(delta_of(trained)))


def test_an_older_delta_that_does_not_fit_names_what_it_does_not_know(trained, weights, tmp_path):
    _, folder = trained('resnet', 'est')
    file, key = torch.load(folder / 'epoch_1.pth', weights_only=True), f'backbone.{DELTA_KEY}'
    info = decode_info(file['state_dict'][key])
    del info['arguments']['narrow_taps']
    file['state_dict'][key] = encode_info(info)
    torch.save(file, tmp_path / 'older.pth')
    for tuning, said in ((dict(METHODS['est'], narrow_taps=False), True), (dict(type='LST'), False)):
        with pytest.raises(ValueError, match='tensors do not fit') as error:
            load_checkpoint(runner('resnet', tuning, weights['resnet'], tmp_path).model, str(tmp_path / 'older.pth'))
        assert ('It is older than narrow_taps: the changelog says' in str(error.value)) is said
        assert ('here is the same, but in another model' in str(error.value)) is said


def test_refuses_a_missing_pretrained_file(trained, tmp_path):
    model = runner('swin', METHODS['est'], tmp_path / 'nowhere.pth', tmp_path).model
    with pytest.raises(
        FileNotFoundError, match='pretrained weights of SwinTransformer, ".*nowhere.pth", could not be read'
    ):
        load_checkpoint(model, str(delta_of(trained)))


@pytest.mark.parametrize('share', [0, 0.01, 0.04, 0.2, 0.5, 0.9, 0.9999])
def test_refuses_a_truncated_file(trained, weights, tmp_path, share):
    data = delta_of(trained).read_bytes()
    (tmp_path / 'cut.pth').write_bytes(data[: int(len(data) * share)])
    model = runner('swin', METHODS['est'], weights['swin'], tmp_path).model
    with pytest.raises(ValueError, match='cut.pth" .* (truncated or damaged|not a checkpoint, or is damaged)'):
        load_checkpoint(model, str(tmp_path / 'cut.pth'))


def test_refuses_what_is_no_checkpoint(weights, tmp_path):
    (tmp_path / 'text.pth').write_text('junk')
    model = runner('swin', METHODS['est'], weights['swin'], tmp_path).model
    with pytest.raises(ValueError, match='text.pth" .* (truncated or damaged|not a checkpoint, or is damaged)'):
        load_checkpoint(model, str(tmp_path / 'text.pth'))


def _other_version(state):
    info = decode_info(state[f'backbone.{DELTA_KEY}'])
    state[f'backbone.{DELTA_KEY}'] = encode_info({**info, 'version': 99})


@pytest.mark.parametrize(
    'edit, message',
    [
        (_other_version, 'format version 99; this mmest reads'),
        (lambda s: s.update({f'backbone.{DELTA_KEY}': torch.zeros(9, dtype=torch.uint8)}), 'is damaged'),
        (lambda s: s.pop(f'backbone.{DELTA_KEY}'), 'does not say which backbone'),
        (lambda s: s.pop('backbone.method.blocks.0.reduce.weight'), 'first backbone.method.blocks.0.reduce.weight'),
    ],
    ids=['version', 'garbage', 'no marker', 'cut'],
)
def test_refuses_a_damaged_delta(trained, weights, tmp_path, edit, message):
    file = torch.load(delta_of(trained))
    edit(file['state_dict'])
    torch.save(file, tmp_path / 'bad.pth')
    model = runner('swin', METHODS['est'], weights['swin'], tmp_path).model
    with pytest.raises(ValueError, match=message):
        load_checkpoint(model, str(tmp_path / 'bad.pth'))


def test_is_whole_where_no_file_gives_the_backbone_back(tmp_path, monkeypatch):
    cfg = runner_cfg('swin', METHODS['est'], 'none', tmp_path)
    cfg.model.backbone.backbone.pop('init_cfg')
    cfg.model.backbone.allow_random = True
    r, said = Runner.from_cfg(cfg), []
    monkeypatch.setattr(r.logger, 'warning', said.append)
    r.train()
    file = torch.load(tmp_path / 'epoch_2.pth')
    assert (tmp_path / 'epoch_1.pth').exists() and sum('are stored in the checkpoint' in one for one in said) == 1
    assert set(file['state_dict']) == set(r.model.state_dict()) | {f'backbone.{DELTA_KEY}'}


def test_keeps_what_load_from_changed(trained, weights, tmp_path):
    """A detector checkpoint may bring another backbone than the pretrained file: the delta must have it."""
    state = {
        key: value + 1 if value.is_floating_point() else value
        for key, value in torch.load(weights['swin'])['state_dict'].items()
    }
    torch.save(dict(state_dict=state), tmp_path / 'detector.pth')
    r = runner('swin', METHODS['est'], weights['swin'], tmp_path, load_from=str(tmp_path / 'detector.pth'))
    r.train()
    fresh = runner('swin', METHODS['est'], weights['swin'], tmp_path / 'again', load_from=str(tmp_path / 'epoch_2.pth'))
    fresh.load_or_resume()
    with torch.no_grad():
        assert torch.equal(r.model.eval()(image()), fresh.model.eval()(image()))


@pytest.mark.parametrize('name', ['swin', 'resnet', 'vit'])
def test_coverage_below_95_percent_is_an_error(name, weights, tmp_path):
    state = torch.load(weights[name])['state_dict']
    heavy = max(state, key=lambda key: state[key].numel())
    keys = list(state)
    few = {key: value for key, value in state.items() if key in keys[: len(keys) // 2] and key != heavy}
    torch.save(dict(state_dict=few), tmp_path / 'half.pth')
    tuned = build(name, METHODS['est'], tmp_path / 'half.pth')
    with pytest.raises(ValueError, match=r'half.pth covers .*; not in it: .* and \d+ more. At least 95% is needed'):
        tuned.init_weights()


def test_weights_of_another_width_are_of_another_shape(weights, tmp_path):
    torch.save(dict(state_dict=build('resnet', None, base_channels=16).state_dict()), tmp_path / 'wide.pth')
    tuned = build('resnet', METHODS['est'], tmp_path / 'wide.pth')
    with pytest.raises(ValueError, match=r'wide.pth covers .*; of another shape in it: .*layer1') as error:
        tuned.init_weights()
    assert 'not in it' not in str(error.value)


def test_wrapper_takes_no_weights():
    from mmengine.registry import MODELS
    from toy import BACKBONES

    with pytest.raises(ValueError, match='TunedBackbone takes no weights of its own'):
        MODELS.build(
            dict(
                type='TunedBackbone',
                backbone=copy.deepcopy(BACKBONES['swin']),
                tuning=dict(type='EST'),
                init_cfg=dict(type='Pretrained', checkpoint='x.pth'),
            )
        )


@pytest.mark.parametrize('tuning', ['EST', dict(type='LoRRA'), None])
def test_unknown_method_gets_a_sentence(tuning):
    from mmengine.registry import MODELS
    from toy import BACKBONES

    with pytest.raises(ValueError, match='NAME one of AdaptFormer, Adapter, .*EST, Frozen, Full, .*SideTuning'):
        MODELS.build(dict(type='TunedBackbone', backbone=copy.deepcopy(BACKBONES['swin']), tuning=tuning))


def test_learning_rate_of_the_method_and_merged_groups():
    model = torch.nn.ModuleDict(dict(backbone=build('swin', dict(type='EST', lr_mult=7.0)), head=torch.nn.Linear(2, 2)))
    optimizer = dict(type='AdamW', lr=1e-2, weight_decay=0.1)
    groups = TrainableOptimWrapperConstructor(dict(optimizer=optimizer))(model).optimizer.param_groups
    # The scales and gates of the method do not decay.
    assert sorted((group['lr'], group['weight_decay']) for group in groups) == [(1e-2, 0.1), (7e-2, 0.0), (7e-2, 0.1)]
    own = dict(params=[4], lr=1, eps=1e-3)
    assert merge_groups([dict(params=[1], lr=1), dict(params=[2], lr=2), dict(params=[3], lr=1), own]) == [
        dict(params=[1, 3], lr=1),
        dict(params=[2], lr=2),
        own,
    ]


def test_hook_refuses_an_optimizer_over_frozen_tensors(weights, tmp_path):
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path)
    cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))
    with pytest.raises(ValueError, match="constructor='TrainableOptimWrapperConstructor'"):
        Runner.from_cfg(cfg).train()


@pytest.mark.parametrize('lasting', [True, False])
def test_hook_warns_of_workers_that_outlive_an_epoch(weights, tmp_path, lasting):
    r = runner(
        'swin',
        METHODS['est'],
        weights['swin'],
        tmp_path,
        epochs=1,
        train_dataloader=dict(num_workers=1, persistent_workers=lasting),
    )
    r.train()
    said = ''.join(path.read_text() for path in tmp_path.rglob('*.log'))
    assert ('persistent_workers is True' in said) == lasting


def test_hook_notices_a_frozen_tensor_that_changed(weights, tmp_path):
    from mmengine.hooks import Hook

    class Vandal(Hook):
        def after_train_iter(self, runner, *args, **kwargs):
            runner.model.backbone.backbone.patch_embed.projection.bias.data[0] += 1

    r = runner('swin', METHODS['est'], weights['swin'], tmp_path)
    r.register_hook(Vandal())
    with pytest.raises(
        RuntimeError, match='1 frozen tensors of backbone.backbone have changed .* patch_embed.projection.bias'
    ):
        r.train()
    assert not list(tmp_path.glob('*.pth'))


def test_something_trainable_in_front_of_a_tap_is_an_error(weights):
    from mmest.tuning.side.est import EST

    class Leaky(EST):
        def trained_modules(self, backbone):
            return [backbone.patch_embed]

    from mmest.registry import TUNINGS

    TUNINGS.register_module(name='Leaky', module=Leaky, force=True)
    try:
        with pytest.raises(ValueError, match='it also trains "patch_embed'):
            build('swin', dict(type='Leaky'))
    finally:
        TUNINGS.module_dict.pop('Leaky')
