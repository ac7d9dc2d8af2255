"""What weight decay leaves alone, and how an optimizer steps."""

import copy
import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from toy import METHODS, build

from mmest.engine.deltas import trainable_parameters
from mmest.engine.kept_settings import say_kept_settings
from mmest.engine.optim import TrainableOptimWrapperConstructor

CASES = {
    **METHODS,
    'est with scalar gates': dict(type='EST', gate='scalar'),
    'est with channel gates': dict(type='EST', gate='channel'),
}
PARAMWISE = (
    None,
    dict(norm_decay_mult=0.5, bias_decay_mult=2.0),
    dict(custom_keys={'method': dict(decay_mult=3.0)}),
)


def decayed(tuned: nn.Module, optimizer: dict, **cfg) -> dict[str, bool]:
    """Whether three steps with much decay and no gradient change a parameter, by the name of each that trains."""
    model = nn.ModuleDict(dict(backbone=tuned, head=nn.Conv2d(2, 2, 1)))
    wrapper = TrainableOptimWrapperConstructor(dict(optimizer=optimizer), cfg.get('paramwise_cfg'))(model)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for p in trained.values():  # what starts at zero could not be seen to move
            if not p.any():
                p.fill_(0.5)
    before = {name: p.detach().clone() for name, p in trained.items()}
    for _ in range(3):
        for p in trained.values():
            p.grad = torch.zeros_like(p)
        wrapper.step()
    return {name: not torch.equal(p, before[name]) for name, p in trained.items()}


@pytest.mark.parametrize(
    'optimizer', [dict(type='AdamW', lr=0.1, weight_decay=1.0), dict(type='SGD', lr=0.1, weight_decay=1.0)]
)
@pytest.mark.parametrize('method', CASES)
@pytest.mark.parametrize('name', ['swin', 'resnet'])
def test_scales_gates_and_shifts_of_a_method_do_not_decay(name, method, optimizer):
    tuned = build(name, CASES[method])
    own = {f'backbone.method.{key}': p for key, p in tuned.method.named_parameters()}
    vectors = {key for key, p in own.items() if max(p.shape, default=1) == p.numel()}
    assert {key for key, p in own.items() if bool((p == 1).all())} <= vectors
    for paramwise in PARAMWISE:
        moved = decayed(tuned, optimizer, paramwise_cfg=paramwise)
        assert {key for key in own if not moved[key]} == vectors
        assert moved['head.weight'] and moved['head.bias'], 'heads and necks keep the decay of mmengine'


@pytest.mark.parametrize('method', ['norm_tuning', 'bitfit'])
@pytest.mark.parametrize('name', ['swin', 'resnet'])
def test_norms_and_biases_that_a_method_chooses_do_not_decay(name, method):
    for paramwise in PARAMWISE:
        moved = decayed(
            build(name, METHODS[method]), dict(type='SGD', lr=0.1, weight_decay=1.0), paramwise_cfg=paramwise
        )
        assert {key for key, has_moved in moved.items() if has_moved} == {'head.weight', 'head.bias'}
        assert len(moved) > 2


@pytest.mark.parametrize(
    'method, decays', [('norm_tuning', False), ('bitfit', False), ('full', True), ('partial', True)]
)
def test_outside_of_a_config_they_do_not_decay_either(method, decays):
    """Where a method trains matrices too, all decays, as torch's own default has it."""
    tuned = build('swin', METHODS[method])
    groups = trainable_parameters(tuned, lr=1e-4, weight_decay=0.05)
    assert [group['weight_decay'] for group in groups] == [0.05 if decays else 0.0], 'equal options are one group'
    assert sum(len(group['params']) for group in groups) == sum(p.requires_grad for p in tuned.parameters())


def test_norms_and_biases_of_the_backbone_decay_as_paramwise_cfg_says():
    sgd = dict(type='SGD', lr=0.1, weight_decay=1.0)
    for paramwise, norms, biases in (
        (None, True, True),
        (dict(norm_decay_mult=0.0, bias_decay_mult=0.0), False, False),
    ):
        moved = decayed(build('swin', dict(type='Full')), sgd, paramwise_cfg=paramwise)
        assert moved['backbone.backbone.norm0.weight'] == norms
        assert moved['backbone.backbone.stages.0.blocks.0.attn.w_msa.qkv.bias'] == biases
        assert moved['backbone.backbone.stages.0.blocks.0.attn.w_msa.qkv.weight']


def test_a_rate_that_is_left_out_is_the_optimizers_own():
    tuned = build('swin', dict(METHODS['est'], lr_mult=10.0))
    wrapper = TrainableOptimWrapperConstructor(dict(optimizer=dict(type='AdamW')))(nn.ModuleDict(dict(backbone=tuned)))
    assert {group['lr'] for group in wrapper.optimizer.param_groups} == {1e-2}


def stepped(model: nn.Module, **optimizer) -> list[bool | None]:
    """Three steps of a model, by gradients that are its weights; whether each group of the optimizer is fused."""
    wrapper = TrainableOptimWrapperConstructor(dict(optimizer=dict(lr=0.01, weight_decay=0.1, **optimizer)))(model)
    for _ in range(3):
        for p in model.parameters():
            p.grad = p.detach().clone()
        wrapper.step()
    return [group.get('fused') for group in wrapper.optimizer.param_groups]


@pytest.mark.parametrize('kind', ['AdamW', torch.optim.AdamW, 'SGD', 'Adam'])
def test_one_operator_steps_all_weights_and_gives_what_many_give(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Linear(7, 130, dtype=torch.float64))
    other = copy.deepcopy(model)
    assert stepped(model, type=kind) == [True]
    assert stepped(other, type=kind, fused=False) == [False]
    for a, b in zip(model.parameters(), other.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    'optimizer',
    [dict(type='AdamW', foreach=True), dict(type='AdamW', differentiable=True), dict(type='Adadelta')],
)
def test_an_optimizer_that_is_told_how_to_step_steps_so(optimizer):
    wrapper = TrainableOptimWrapperConstructor(dict(optimizer=optimizer))(nn.Linear(2, 2))
    assert not any(group.get('fused') for group in wrapper.optimizer.param_groups)


def optimizer_of(model: nn.Module, **optimizer) -> torch.optim.Optimizer:
    constructor = TrainableOptimWrapperConstructor(dict(optimizer=dict(lr=0.01, weight_decay=0.1, **optimizer)))
    return constructor(model).optimizer


@pytest.mark.parametrize('before', [dict(fused=False), dict(foreach=True), dict()])
@pytest.mark.parametrize('now', [dict(), dict(fused=False), dict(foreach=True)])
@pytest.mark.parametrize('kind', ['AdamW', 'SGD'])
def test_a_resumed_optimizer_steps_as_its_config_says_with_scaled_gradients_too(kind, now, before):
    more = dict(momentum=0.9) if kind == 'SGD' else {}
    model, x = nn.Linear(3, 3), torch.randn(4, 3)
    optimizer = optimizer_of(model, type=kind, **more, **before)
    model(x).sum().backward()
    optimizer.step()
    other = copy.deepcopy(model)
    resumed = optimizer_of(other, type=kind, **more, **now)
    steps = {name: resumed.param_groups[0][name] for name in ('fused', 'foreach')}
    state = copy.deepcopy(optimizer.state_dict())
    groups = copy.deepcopy(state['param_groups'])
    resumed.load_state_dict(state)
    assert {name: resumed.param_groups[0][name] for name in steps} == steps
    assert state['param_groups'] == groups, 'what the caller has stays'
    scaler = torch.amp.GradScaler('cpu', init_scale=8.0)
    for _ in range(2):
        optimizer.zero_grad()
        model(x).sum().backward()
        optimizer.step()
        resumed.zero_grad()
        scaler.scale(other(x).sum()).backward()
        scaler.step(resumed)
        scaler.update()
    for a, b in zip(model.parameters(), other.parameters()):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize('before', [dict(fused=False), dict(foreach=True)])
def test_how_an_optimizer_steps_is_no_setting_that_a_checkpoint_keeps(before):
    said = []
    runner = SimpleNamespace(
        _resume=True,
        optim_wrapper=SimpleNamespace(optimizer=optimizer_of(nn.Linear(3, 3), type='AdamW')),
        param_schedulers=[],
        logger=SimpleNamespace(warning=said.append),
    )
    state = optimizer_of(nn.Linear(3, 3), type='AdamW', **before).state_dict()
    say_kept_settings(runner, dict(optimizer=state))
    assert not said
    state['param_groups'][0]['weight_decay'] = 0.5
    say_kept_settings(runner, dict(optimizer=state))
    assert len(said) == 1 and 'weight_decay 0.5, not 0.1' in said[0]


def test_an_optimizer_of_other_groups_is_refused_when_it_is_loaded():
    state = optimizer_of(nn.Linear(3, 3), type='AdamW').state_dict()
    state['param_groups'] *= 2
    with pytest.raises(ValueError, match='different number of parameter groups'):
        optimizer_of(nn.Linear(3, 3), type='AdamW').load_state_dict(state)


@pytest.mark.parametrize(
    'kind, device, fused', [('Adagrad', 'cuda', False), ('Adagrad', 'cpu', True), ('AdamW', 'cuda', True)]
)
def test_what_some_versions_of_torch_have_fused_on_a_cpu_alone_is_fused_there_alone(kind, device, fused):
    with FakeTensorMode():  # which knows cards that are not there
        model = nn.ParameterList([torch.empty(2, 2, device=device)])
        assert bool(optimizer_of(model, type=kind).param_groups[0]['fused']) == fused


@pytest.mark.parametrize('paramwise', PARAMWISE)
def test_a_layer_that_two_parts_share_is_stepped_once(paramwise):
    model = nn.ModuleDict(dict(backbone=build('swin', METHODS['est']), a=nn.Conv2d(3, 2, 1), b=nn.Sequential()))
    model['b'].append(model['a'])
    wrapper = TrainableOptimWrapperConstructor(dict(optimizer=dict(type='SGD', lr=0.1, weight_decay=0.0)), paramwise)(
        model
    )
    listed = [id(p) for group in wrapper.optimizer.param_groups for p in group['params']]
    assert sorted(listed) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    before = model['a'].bias.detach().clone()
    model['a'].bias.grad = torch.ones_like(before)
    wrapper.step()
    torch.testing.assert_close(model['a'].bias, before - 0.1)


@pytest.mark.parametrize('paramwise', PARAMWISE)
def test_the_log_has_no_line_for_each_tensor(paramwise):
    """Of mmengine there is one for each that is frozen, and for each option of each that trains."""
    model = nn.ModuleDict(dict(backbone=build('swin', METHODS['est']), head=nn.Conv2d(2, 2, 1)))
    logger, seen = MMLogger.get_current_instance(), logging.Handler(logging.DEBUG)
    lines = []
    seen.emit = lambda record: lines.append(record.getMessage())
    level = logger.level
    logger.addHandler(seen)
    try:
        logger.setLevel('INFO')
        TrainableOptimWrapperConstructor(dict(optimizer=dict(type='AdamW', lr=0.1, weight_decay=0.1)), paramwise)(model)
        logger.info('paramwise_options of others are not hidden')
    finally:
        logger.setLevel(level)
        logger.removeHandler(seen)
    assert lines == ['paramwise_options of others are not hidden']
