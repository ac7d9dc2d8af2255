"""A delta of a float32 training in models that were cast to less, before it is loaded or behind."""

import copy

import pytest
import torch
from small_backbones import SmallConvNeXt
from toy import METHODS, build, image

import mmest

DTYPES = [torch.bfloat16, torch.float64]


@pytest.fixture(scope='module')
def trained(weights, tmp_path_factory):
    """A tuned backbone by method, and the file of its delta."""
    made = {}
    for method in ('est', 'lora'):
        tuned = build('resnet', METHODS[method], weights['resnet'])
        tuned.init_weights()
        for p in tuned.parameters():
            if p.requires_grad:
                p.data.add_(0.02 * torch.randn_like(p))
        file = mmest.save_delta(tuned, tmp_path_factory.mktemp(method) / 'delta.pth')
        made[method] = tuned.eval(), file
    return made


@pytest.mark.parametrize('method', ['est', 'lora'])
@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('order', ['load, cast', 'cast, load', 'weights, cast, load', 'weights, cast, weights, load'])
def test_the_order_does_not_matter(method, dtype, order, trained, weights):
    first, file = trained[method]
    tuned = build('resnet', METHODS[method], weights['resnet'])
    steps = dict(cast=lambda: tuned.to(dtype), weights=tuned.init_weights, load=lambda: mmest.load_delta(tuned, file))
    for step in order.split(', '):
        steps[step]()
    assert {p.dtype for p in tuned.parameters()} == {dtype}
    values = first.state_dict()
    for name, value in tuned.state_dict().items():
        assert torch.equal(value, values[name].to(value.dtype)), name
    expected = copy.deepcopy(first).to(dtype)
    with torch.no_grad():
        assert all(map(torch.equal, tuned.eval()(image().to(dtype)), expected(image().to(dtype))))


@pytest.mark.parametrize('frozen_dtype', [None, 'bf16', 'int8'])
def test_a_delta_of_a_cast_model_leaves_out_as_much(frozen_dtype, weights, tmp_path):
    def new():
        cfg = dict(type='SmallResNet', depth=50, base_channels=8)
        cfg['init_cfg'] = dict(type='Pretrained', checkpoint=str(weights['resnet']))
        return mmest.TunedBackbone(cfg, METHODS['est'], frozen_dtype=frozen_dtype)

    tuned = new()
    tuned.init_weights()
    tuned.bfloat16()
    held = torch.load(mmest.save_delta(tuned, tmp_path / 'delta.pth'))['state_dict']
    assert not any(name.startswith('backbone.') for name in held)
    mmest.load_delta(new(), tmp_path / 'delta.pth')
    tuned.backbone.bn1.weight.data += 1
    held = torch.load(mmest.save_delta(tuned, tmp_path / 'changed.pth'))['state_dict']
    assert [name for name in held if name.startswith('backbone.')] == ['backbone.bn1.weight']


def test_a_cast_model_of_other_weights_is_refused(trained, tmp_path):
    other = build('resnet')
    torch.save(other.state_dict(), tmp_path / 'other.pth')
    tuned = build('resnet', METHODS['est'], tmp_path / 'other.pth').bfloat16()
    with pytest.raises(ValueError, match='another fingerprint than those of ResNet'):
        mmest.load_delta(tuned, trained['est'][1])


def test_a_module_of_ones_own_is_cast_once_it_is_tuned(tmp_path):
    module = SmallConvNeXt()
    weights = module.state_dict()
    tuned = mmest.tune(module).eval()
    file = mmest.save_delta(tuned, tmp_path / 'delta.pth')
    again = SmallConvNeXt()
    again.load_state_dict(weights)
    in_bf16 = mmest.load_delta(mmest.tune(again).bfloat16(), file).eval()
    with torch.no_grad():
        for found, expected in zip(in_bf16(image().bfloat16()), tuned(image())):
            assert (found.float() - expected).norm() < 0.05 * expected.norm()
    cast = SmallConvNeXt()
    cast.load_state_dict(weights)
    with pytest.raises(ValueError, match=r'Its weights are torch.bfloat16: if they were cast, load the delta before'):
        mmest.load_delta(mmest.tune(cast.bfloat16()), file)
