"""Learning rates of what a method trains."""

import pytest
import torch
from toy import METHODS, TWO_A_STAGE, build

from mmest.engine.optim import TrainableOptimWrapperConstructor


def rates(tuned, **cfg) -> dict:
    """Learning rate of each parameter that trains, by name."""
    model = torch.nn.ModuleDict(dict(wrapped=tuned, head=torch.nn.Linear(2, 2)))
    constructor = TrainableOptimWrapperConstructor(dict(optimizer=dict(type='AdamW', lr=1.0)), **cfg)
    groups = constructor(model).optimizer.param_groups
    by_id = {id(p): group['lr'] for group in groups for p in group['params']}
    return {name.removeprefix('wrapped.'): by_id[id(p)] for name, p in model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize('method', METHODS)
def test_the_factor_of_a_method_is_on_all_that_it_trains(method):
    once, found = (rates(build('swin', dict(METHODS[method], lr_mult=factor))) for factor in (1.0, 5.0))
    assert found.pop('head.weight') == found.pop('head.bias') == 1
    assert bool(found) == (method != 'frozen')
    for name, rate in found.items():
        assert rate == pytest.approx(5 * once[name]), name
        assert once[name] == 1 or (method == 'steered_est' and name.startswith('method.updates.')), name


def test_updates_of_steered_est_learn_more_slowly_than_its_side_network():
    found = rates(build('swin', dict(METHODS['steered_est'], lr_mult=10.0)))
    of_updates = {rate for name, rate in found.items() if name.startswith('method.updates.')}
    assert list(of_updates) == [pytest.approx(3)]
    assert found['method.blocks.0.reduce.weight'] == 10


def test_layerwise_decay_of_full_fine_tuning():
    found = rates(build('swin', dict(type='Full', lr_mult=2.0, layer_decay=0.5), **TWO_A_STAGE))
    for name, exponent in {
        'patch_embed.projection.weight': 9,
        'stages.0.blocks.0.norm1.weight': 8,
        'stages.0.blocks.1.ffn.layers.1.bias': 7,
        'stages.0.downsample.reduction.weight': 7,
        'stages.1.blocks.0.attn.w_msa.qkv.weight': 6,
        'stages.3.blocks.1.norm2.bias': 1,
        'norm0.weight': 0,
        'norm3.bias': 0,
    }.items():
        assert found[f'backbone.{name}'] == pytest.approx(2 * 0.5**exponent), name
    assert found['head.weight'] == 1
    flat = rates(build('vit', dict(type='Full', layer_decay=0.5)))
    assert flat['backbone.patch_embed.projection.weight'] == flat['backbone.pos_embed'] == pytest.approx(0.5**5)


def test_layers_between_stages_go_with_the_block_that_runs_before_them():
    """Wherever a backbone lists them: this one has all of them in front of its stages."""
    found = rates(build('convnext', dict(type='Full', layer_decay=0.5)))
    for name, exponent in {
        'downsample_layers.0.0.weight': 5,
        'stages.0.0.gamma': 4,
        'stages.0.1.pwconv1.weight': 3,
        'downsample_layers.1.0.weight': 3,
        'downsample_layers.1.1.bias': 3,
        'stages.1.0.dwconv.weight': 2,
        'stages.1.1.norm.bias': 1,
        'norms.0.weight': 0,
    }.items():
        assert found[f'backbone.{name}'] == pytest.approx(0.5**exponent), name


def test_the_factor_of_a_method_is_beside_those_of_the_config():
    tuned = build('swin', dict(METHODS['est'], lr_mult=10.0))
    paramwise = dict(custom_keys={'wrapped.method.blocks.0': dict(lr_mult=0.5), 'head': dict(lr_mult=3.0)})
    found = rates(tuned, paramwise_cfg=paramwise)
    assert (found['head.weight'], found['method.blocks.0.reduce.weight']) == (3, 5)
    assert found['method.blocks.1.reduce.weight'] == 10


def test_each_of_two_tuned_backbones_has_the_rates_of_its_own_method():
    first, second = (build('swin', dict(METHODS['est'], lr_mult=factor)) for factor in (2.0, 5.0))
    found = rates(torch.nn.ModuleDict(dict(first=first, second=second)))
    for name in ('method.blocks.0.reduce.weight', 'method.blocks.1.reduce.weight'):
        assert (found[f'first.{name}'], found[f'second.{name}']) == (2, 5)
