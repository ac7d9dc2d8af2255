"""Tuning from Python: any module that returns maps, in a loop of one's own."""

import copy
import runpy
from collections import OrderedDict, namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import nn
from toy import BACKBONES, METHODS, SIDE, image

import mmest
from mmest.anatomy.hooks import Override
from mmest.backbones.tuned_backbone import TunedBackbone
from mmest.checkpoints.digests import digests

EXAMPLE = runpy.run_path(str(Path(__file__).parents[2] / 'docs' / 'examples' / 'plain_pytorch.py'))


class As(nn.Module):
    """The example's backbone, whose maps come in some other form."""

    def __init__(self, form):
        super().__init__()
        self.backbone, self.form = EXAMPLE['Backbone'](), form

    def forward(self, x):
        return self.form(x, self.backbone(x))


Maps = namedtuple('Maps', 'fine coarse')

FORMS = {
    'list': lambda x, maps: maps,
    'tuple': lambda x, maps: tuple(maps),
    'named tuple': lambda x, maps: Maps(*maps),
    'map': lambda x, maps: maps[-1],
    'dict': lambda x, maps: OrderedDict(zip(('fine', 'coarse'), maps)),
    'the image among them': lambda x, maps: [x, *maps],
}


def leaves(outputs):
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return list(outputs.values()) if isinstance(outputs, dict) else list(outputs)


@pytest.mark.parametrize('name', ['swin', 'resnet'])
@pytest.mark.parametrize('method', ['est', 'lst', 'lora', 'mona', 'partial'])
def test_a_method_lies_where_its_backbone_lies(method, name):
    backbone = MODELS.build(BACKBONES[name]).to('meta')  # in place of a card
    tuned = TunedBackbone(backbone, METHODS[method])
    assert {x.device.type for x in (*tuned.parameters(), *tuned.buffers())} == {'meta'}


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('method', ['EST', 'LoRA', 'Partial'])
def test_the_module_returns_what_it_did(form, method):
    torch.manual_seed(0)
    module = As(FORMS[form]).eval()
    expected = copy.deepcopy(module)(image())
    found = mmest.tune(module, method).eval()(image())
    assert type(found) is type(expected)
    if form == 'dict':
        assert list(found) == ['fine', 'coarse']
    assert all(torch.equal(a, b) for a, b in zip(leaves(found), leaves(expected), strict=True))


class BackboneOutput(OrderedDict):
    """As of transformers: maps beside what is no map, by name and by attribute."""

    def __getattr__(self, name):
        return self[name]


@pytest.mark.parametrize('method', ['EST', 'LoRA', 'Partial'])
def test_the_feature_maps_of_transformers_are_tuned_and_nothing_else_is(method):
    def output(x, maps):
        return BackboneOutput(feature_maps=tuple(maps), hidden_states=(x.flatten(1), x))

    torch.manual_seed(0)
    module = As(output).eval()
    expected = copy.deepcopy(module)(image())
    tuned = mmest.tune(module, method).eval()
    found = tuned(image())
    assert type(found) is BackboneOutput and list(found) == ['feature_maps', 'hidden_states']
    assert all(torch.equal(a, b) for a, b in zip(found.feature_maps, expected.feature_maps, strict=True))
    for p in mmest.trainable_parameters(tuned, lr=1e-4, weight_decay=0.0)[-1]['params']:
        p.data += 1
    moved = tuned(image())
    assert any(not torch.equal(a, b) for a, b in zip(moved.feature_maps, expected.feature_maps, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(moved.hidden_states, expected.hidden_states, strict=True))


class OfOneSize(nn.Module):
    """Takes images of one size, which its config tells, or nothing does."""

    def __init__(self, side, config):
        super().__init__()
        self.backbone, self.side = EXAMPLE['Backbone'](), side
        if config:
            self.config = SimpleNamespace(image_size=side)

    def forward(self, x):
        if x.shape[-2:] != (self.side, self.side):
            raise ValueError('another size')
        return self.backbone(x)


@pytest.mark.parametrize(('side', 'config'), [(48, True), (224, False), (256, False)])
def test_modules_that_take_images_of_one_size(side, config):
    tuned = mmest.tune(OfOneSize(side, config), 'EST')
    assert len(tuned(torch.rand(2, 3, side, side))) == len(EXAMPLE['Backbone']()(image()))


@pytest.mark.parametrize('method', METHODS)
def test_every_method_by_the_name_of_its_config(method):
    tuned = mmest.tune(EXAMPLE['Backbone'](), method)
    assert type(tuned.method).__name__ == METHODS[method]['type']
    assert isinstance(tuned(image()), list)


def test_knobs_override_the_shipped_ones():
    assert mmest.tune(EXAMPLE['Backbone'](), 'EST').method.lr_mult == 10
    assert mmest.tune(EXAMPLE['Backbone'](), 'EST', lr_mult=2.0).method.lr_mult == 2


def test_the_example_trains_saves_and_loads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model, losses = EXAMPLE['main']()
    assert losses[-1] < 0.7 * losses[0]
    torch.manual_seed(0)
    again = EXAMPLE['Segmentor'](mmest.tune(EXAMPLE['Backbone'](), 'EST'))
    frozen = digests(again.backbone.frozen_state())
    assert frozen == digests(model.backbone.frozen_state()), 'training has left the backbone as it was'
    assert not all(torch.equal(a, b) for a, b in zip(again.state_dict().values(), model.state_dict().values()))
    mmest.load_delta(again, 'delta.pth')
    assert torch.equal(again.eval()(image()), model.eval()(image()))
    held = torch.load('delta.pth')['state_dict']
    assert not any(key.startswith('backbone.backbone.') for key in held)


def test_a_delta_of_another_backbone_is_refused(tmp_path):
    torch.manual_seed(0)
    path = mmest.save_delta(mmest.tune(EXAMPLE['Backbone'](), 'EST'), tmp_path / 'delta.pth')
    torch.manual_seed(1)
    with pytest.raises(ValueError, match='belongs to'):
        mmest.load_delta(mmest.tune(EXAMPLE['Backbone'](), 'EST'), path)


def in_processes(model):
    torch.distributed.init_process_group('gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)
    try:
        return nn.parallel.DistributedDataParallel(model)
    finally:
        torch.distributed.destroy_process_group()


WRAPPERS = [in_processes, torch.compile, lambda model: torch.compile(in_processes(model))]


@pytest.mark.parametrize('wrap', WRAPPERS, ids=['processes', 'compiled', 'both'])
def test_what_is_around_a_model_is_not_in_its_delta(wrap, tmp_path):
    torch.manual_seed(0)
    model = EXAMPLE['Segmentor'](mmest.tune(EXAMPLE['Backbone'](), 'EST'))
    other = copy.deepcopy(model)
    for p in other.parameters():
        p.data.add_(p.requires_grad)
    plain = torch.load(mmest.save_delta(model, tmp_path / 'plain.pth'))['state_dict']
    wrapped = torch.load(mmest.save_delta(wrap(model), tmp_path / 'delta.pth'))['state_dict']
    assert digests(wrapped.items()) == digests(plain.items())
    around = wrap(other)
    assert mmest.load_delta(around, tmp_path / 'delta.pth') is around
    assert digests(other.state_dict().items()) == digests(model.state_dict().items())


@pytest.mark.parametrize('name', ['backbone.method.blocks.0.reduce.weight', 'heads.0.weight'])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_what_is_not_finite_is_neither_saved_nor_loaded(name, value, tmp_path, monkeypatch):
    model = EXAMPLE['Segmentor'](mmest.tune(EXAMPLE['Backbone'](), 'EST'))
    again = copy.deepcopy(model)
    model.get_parameter(name).data.view(-1)[0] = value
    with pytest.raises(ValueError, match=f'The model holds values .* first in {name}: its training diverged, and no'):
        mmest.save_delta(model, tmp_path / 'delta.pth')
    assert not (tmp_path / 'delta.pth').exists()
    with monkeypatch.context() as patch:  # as mmest wrote it before it looked
        patch.setattr('mmest.engine.deltas.refuse_not_finite', lambda *_: None)
        mmest.save_delta(model, tmp_path / 'delta.pth')
    with pytest.raises(ValueError, match=f'delta.pth holds values .* first in {name}: it is damaged, or the training'):
        mmest.load_delta(again, tmp_path / 'delta.pth')


@pytest.mark.parametrize('name', ['swin', 'resnet', None])
def test_initialising_a_model_around_it_leaves_its_weights(name):
    module = EXAMPLE['Backbone']() if name is None else MODELS.build(copy.deepcopy(BACKBONES[name]))
    for p in module.parameters():
        nn.init.normal_(p, std=0.1)
    model = BaseModule()
    model.backbone = mmest.tune(module, 'EST')
    before = model.backbone.frozen_digests()
    model.init_weights()
    assert model.backbone.frozen_digests() == before == model.backbone.restorable()
    model.backbone.refuse_random_weights()


def test_what_its_init_cfg_names_is_loaded(weights):
    module = MODELS.build(dict(BACKBONES['swin'], init_cfg=dict(type='Pretrained', checkpoint=str(weights['swin']))))
    tuned = mmest.tune(module, 'EST')
    before = tuned.frozen_digests()
    tuned.init_weights()
    assert tuned.frozen_digests() != before
    assert tuned.coverage.share == 1


def test_merging_gives_the_module_back():
    torch.manual_seed(0)
    module = EXAMPLE['Backbone']()
    tuned = mmest.tune(module, 'LoRA', targets='.*').eval()
    for p in tuned.method.parameters():
        nn.init.normal_(p, std=0.1)
    expected = tuned(image())
    assert tuned.merge() is module
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(module(image()), expected))
    assert module.train().training
    assert not any(isinstance(value, Override) for m in module.modules() for value in vars(m).values())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())
    mmest.tune(module, 'EST')


@pytest.mark.parametrize('first', ['EST', 'LoRA', 'Partial', 'Frozen'])
@pytest.mark.parametrize('second', ['EST', 'Full'])
def test_a_module_is_tuned_once(first, second):
    module = EXAMPLE['Backbone']()
    mmest.tune(module, first)
    with pytest.raises(ValueError, match='Backbone is tuned already: what was added'):
        mmest.tune(module, second)


class Pooling(nn.Module):
    """Hands over what it has made coarser, and finer, behind its blocks."""

    def __init__(self):
        super().__init__()
        self.backbone = EXAMPLE['Backbone']()

    def forward(self, x):
        fine, coarse = self.backbone(x)
        return [nn.functional.interpolate(fine, scale_factor=2), nn.functional.adaptive_avg_pool2d(coarse, 1)]


@pytest.mark.parametrize('method', SIDE)
def test_outputs_of_another_size_than_their_blocks_keep_it(method):
    torch.manual_seed(0)
    module = Pooling().eval()
    expected = module(image())
    tuned = mmest.tune(module, method).eval()
    for p in tuned.method.parameters():
        nn.init.normal_(p, std=0.1)
    for found, frozen in zip(tuned(image()), expected, strict=True):
        assert found.shape == frozen.shape and not torch.equal(found, frozen)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize('method', ['EST', 'SteeredEST', 'LST', 'LoRA'])
def test_models_of_other_precisions_train_and_predict(method, dtype):
    tuned = mmest.tune(EXAMPLE['Backbone'](), method).to(dtype)
    for mode in (True, False):
        found = tuned.train(mode)(image().to(dtype))
        assert all(y.dtype == dtype and y.isfinite().all() for y in found)


def test_images_of_other_channels():
    module = nn.Sequential(nn.Conv2d(5, 3, 1), EXAMPLE['Backbone']())
    x = torch.cat([image(), image()[:, :2]], 1)
    for method, knobs in (('EST', {}), ('SideTuning', dict(width=20))):
        tuned = mmest.tune(copy.deepcopy(module), method, **knobs)
        assert len(tuned(x)) == 2


class Transformer(nn.Module):
    """Of torch's own layers, which in eval mode compute without calling their parts."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 8, 8)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.layers = nn.ModuleList(copy.deepcopy(layer) for _ in range(2))

    def forward(self, x):
        x = self.stem(x)
        tokens = x.flatten(2).transpose(1, 2)
        for layer in self.layers:
            tokens = layer(tokens)
        return [tokens.transpose(1, 2).unflatten(2, x.shape[2:])]


@pytest.mark.parametrize('method', ['EST', 'LoRA', 'SSF', 'SteeredEST'])
def test_torchs_own_transformer_layers(method):
    tuned = mmest.tune(Transformer(), method)
    for p in tuned.method.parameters():
        nn.init.normal_(p, std=0.1)
    plain = copy.deepcopy(tuned.backbone)
    with torch.no_grad():
        found = tuned.eval()(image())[0]
    assert not torch.equal(found, Transformer.forward(plain, image())[0])


def test_replicas_of_data_parallel_get_a_sentence():
    tuned = mmest.tune(EXAMPLE['Backbone'](), 'EST')

    def replica(module):
        found = module._replicate_for_data_parallel()
        found._modules = {name: child and replica(child) for name, child in module._modules.items()}
        found._parameters = dict(module._parameters)
        return found

    with pytest.raises(RuntimeError, match='Take DistributedDataParallel'):
        replica(tuned)(image())


def test_groups_have_what_trains_and_the_methods_rates():
    model = EXAMPLE['Segmentor'](mmest.tune(EXAMPLE['Backbone'](), 'EST', lr_mult=10.0))
    groups = mmest.trainable_parameters(model, lr=1e-3, weight_decay=0.1)
    held = {id(p) for group in groups for p in group['params']}
    assert held == {id(p) for p in model.parameters() if p.requires_grad}
    assert sorted({group['lr'] for group in groups}) == pytest.approx([1e-3, 1e-2])
    assert {group['weight_decay'] for group in groups} == {0.0, 0.1}
    torch.optim.SGD(groups)


def test_bad_input_gets_a_sentence(tmp_path):
    with pytest.raises(TypeError, match='takes a module that returns maps, but got str'):
        mmest.tune('resnet50')
    with pytest.raises(ValueError, match='NAME one of'):
        mmest.tune(EXAMPLE['Backbone'](), 'ESTT')
    with pytest.raises(ValueError, match='all of its parameters have requires_grad=False'):
        mmest.tune(EXAMPLE['Backbone']().requires_grad_(False), 'Full')
    with pytest.raises(ValueError, match='should be a B×C×H×W map'):
        mmest.tune(As(lambda x, maps: [m.flatten(1) for m in maps]), 'EST')
    with pytest.raises(ValueError, match='Nothing in this Conv2d is tuned'):
        mmest.save_delta(nn.Conv2d(3, 4, 3), tmp_path / 'delta.pth')
