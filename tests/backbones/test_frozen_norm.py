"""Frozen batch norms in a graph: torch's values and gradients, and no map kept."""

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from toy import METHODS, build, image

from mmest.anatomy.hooks import override
from mmest.backbones import partly_frozen
from mmest.backbones.frozen_norm import normed_by_constants


def norm(kind=nn.BatchNorm2d, **arguments) -> nn.Module:
    torch.manual_seed(0)
    module = kind(6, eps=1e-2, **arguments)
    for tensor in (*module.parameters(), module.running_mean, module.running_var):
        nn.init.uniform_(tensor, 0.5, 2)
    return module.requires_grad_(False).eval()


def run(module: nn.Module, shape=(2, 6, 5, 7)) -> tuple[torch.Tensor, torch.Tensor, list]:
    """Output, gradient of the input, and the shapes of what was kept."""
    torch.manual_seed(1)
    x, kept = torch.randn(shape, requires_grad=True), []
    with saved_tensors_hooks(lambda t: kept.append(tuple(t.shape)) or t, lambda t: t):
        y = module(x)
    y.backward(torch.randn_like(y))
    return y.detach(), x.grad, kept


@pytest.mark.parametrize('affine', [True, False])
@pytest.mark.parametrize(
    'kind, shape', [(nn.BatchNorm2d, (2, 6, 5, 7)), (nn.BatchNorm1d, (4, 6)), (nn.BatchNorm3d, (1, 6, 2, 3, 4))]
)
def test_values_and_gradients_are_those_of_torch(kind, shape, affine):
    module = norm(kind, affine=affine)
    expected, gradient, kept = run(module, shape)
    assert shape in kept  # what this is about
    override(module, 'forward', normed_by_constants)
    y, own, kept = run(module, shape)
    assert torch.equal(y, expected)
    torch.testing.assert_close(own, gradient, rtol=1e-5, atol=1e-6)
    assert all(len(s) == 1 for s in kept)


def test_in_bfloat16():
    module = norm()
    override(module, 'forward', normed_by_constants)
    x = torch.randn(2, 6, 4, 4, dtype=torch.bfloat16, requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == torch.bfloat16


@MODELS.register_module()
class NormTwice(nn.BatchNorm2d):
    """Does more than norm, as timm's norms with an activation do."""

    def forward(self, x):
        return super().forward(x).sin()


@pytest.mark.parametrize('kind', ['BN', 'NormTwice'])
@pytest.mark.parametrize('method', ['lora', 'adapter', 'ssf', 'steered_est', 'partial', 'norm_tuning', 'full'])
def test_methods_get_the_same_gradients(method, kind, monkeypatch):
    gradients = []
    for constants in (True, False):
        with monkeypatch.context() as patch:
            if not constants:
                patch.setattr(partly_frozen, 'is_frozen_norm', lambda module: False)
            torch.manual_seed(0)
            tuned = build('resnet', METHODS[method], norm_cfg=dict(type=kind)).train()
            for p in tuned.method.parameters():
                torch.manual_seed(p.numel())
                nn.init.normal_(p, std=0.05)
            sum(out.square().mean() for out in tuned(image())).backward()
            gradients.append({name: p.grad for name, p in tuned.named_parameters() if p.requires_grad})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize('method, keeps', [('lora', False), ('full', True)])
def test_a_frozen_norm_keeps_no_map_and_one_that_trains_does(method, keeps):
    tuned, kept = build('resnet', METHODS[method]).train(), []
    inputs = []
    module = tuned.backbone.layer2[0].bn3
    module.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))  # held, so that no other takes its place
    with saved_tensors_hooks(lambda t: kept.append(t.data_ptr()) or t, lambda t: t):
        tuned(image())
    assert (inputs[0].data_ptr() in kept) == keeps
