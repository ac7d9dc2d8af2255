"""mmcv's fuse_conv_bn makes norms a part of the convolutions in front of them."""

import pytest
import torch
from mmcv.cnn import fuse_conv_bn
from torch.nn.modules.batchnorm import _BatchNorm
from toy import METHODS, build, image

BETWEEN = {'lora', 'ssf', 'steered_est'}


def changed(name, **changes):
    """A tuned ResNet in which nothing is as at the start."""
    torch.manual_seed(0)
    tuned = build('resnet', METHODS[name], depth=18, **changes).eval()
    for p in tuned.parameters():
        p.data += 0.1 * torch.randn_like(p)
    for module in tuned.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 1.5)
    return tuned


@torch.no_grad()
@pytest.mark.parametrize('name', [name for name in METHODS if name not in BETWEEN])
def test_results_stay(name):
    tuned = changed(name)
    expected = tuned(image())
    for a, b in zip(fuse_conv_bn(tuned)(image()), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


@torch.no_grad()
@pytest.mark.parametrize('name', sorted(BETWEEN))
def test_a_method_that_acts_between_the_two_refuses(name):
    tuned = changed(name)
    for model in (tuned, torch.nn.Sequential(tuned)):
        fuse_conv_bn(model)
        with pytest.raises(RuntimeError, match=r'"bn1" of ResNet was fused .* Leave --fuse-conv-bn out') as error:
            model(image())
        assert ('mmest export --merge' in str(error.value)) == (name != 'steered_est')


@torch.no_grad()
@pytest.mark.parametrize('name', ['lora', 'ssf'])
def test_what_is_merged_before_can_be_fused(name):
    tuned = changed(name)
    expected = tuned(image())
    tuned.method.merge(tuned.backbone)
    tuned.method.release(tuned.backbone)
    for a, b in zip(fuse_conv_bn(tuned.backbone)(image()), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
