"""What save_delta and load_delta take, and a sentence for the rest."""

import pytest
import torch
from small_backbones import SmallConvNeXt
from torch import nn

import mmest


def tuned(method: str = 'LoRA') -> nn.Module:
    backbone = SmallConvNeXt()
    for i, p in enumerate(backbone.parameters()):
        p.data.copy_(torch.linspace(-0.1, 0.1 + 0.001 * i, p.numel()).view_as(p))
    return mmest.tune(backbone, method)


def model(place: str = 'backbone') -> nn.ModuleDict:
    return nn.ModuleDict({place: tuned(), 'head': nn.Conv2d(16, 2, 1)})


@pytest.fixture
def trained(tmp_path):
    made = model()
    for p in made.parameters():
        if p.requires_grad:
            p.data.add_(0.1 * torch.rand_like(p))
    return made, mmest.save_delta(made, tmp_path / 'delta.pth')


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(map(torch.equal, a.state_dict().values(), b.state_dict().values()))


def test_names_of_data_parallel_and_bare_state_dicts_load(trained, tmp_path):
    first, file = trained
    state = torch.load(file)['state_dict']
    outer = {f'module.{name}': value for name, value in state.items()}
    for content in (dict(state_dict=outer), outer, state, first.state_dict(), dict(model=state)):
        torch.save(content, tmp_path / 'other.pth')
        assert same(mmest.load_delta(model(), tmp_path / 'other.pth'), first)
    assert same(mmest.load_delta(nn.DataParallel(model()), file).module, first)
    inside = nn.ModuleDict(dict(module=model()))
    assert same(mmest.load_delta(inside, mmest.save_delta(inside, tmp_path / 'inside.pth')), inside)


@pytest.mark.parametrize('content', [[1], {}, dict(state_dict={}), dict(meta=dict(epoch=1)), torch.zeros(3)])
def test_what_holds_no_weights_is_said(content, tmp_path):
    torch.save(content, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match='other.pth holds no weights: it is not what save_delta or a training wrote'):
        mmest.load_delta(model(), tmp_path / 'other.pth')


def test_another_place_is_said(trained, tmp_path):
    first, file = trained
    with pytest.raises(ValueError, match='a model with tuned "backbone", but this ModuleDict is one with tuned "enc"'):
        mmest.load_delta(model('enc'), file)
    with pytest.raises(ValueError, match='this TunedModule is one with nothing around what is tuned'):
        mmest.load_delta(tuned(), file)
    alone = mmest.save_delta(first['backbone'], tmp_path / 'alone.pth')
    with pytest.raises(ValueError, match='of a model with nothing around what is tuned, but this ModuleDict'):
        mmest.load_delta(model(), alone)
    assert same(mmest.load_delta(tuned(), alone), first['backbone'])


def test_what_was_merged_does_not_count_twice(trained, tmp_path):
    first, file = trained
    merged = first['backbone'].merge()
    weights = {name: value.clone() for name, value in merged.state_dict().items()}
    for act in (first['backbone'].merge, lambda: mmest.save_delta(first, file), lambda: mmest.load_delta(first, file)):
        with pytest.raises(ValueError, match='What LoRA trained is in the weights of the backbone already'):
            act()
    assert all(torch.equal(value, weights[name]) for name, value in merged.state_dict().items())


def test_a_file_under_the_name_of_another_format_is_said(trained, tmp_path):
    renamed = trained[1].rename(tmp_path / 'delta.safetensors')
    with pytest.raises(
        ValueError, match=r'delta.safetensors" .* is no safetensors file, or is damaged: .* name it \.pth'
    ):
        mmest.load_delta(model(), renamed)
