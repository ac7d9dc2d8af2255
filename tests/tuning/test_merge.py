"""A merged backbone computes by itself what the tuned one did."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import nn
from toy import BACKBONES, METHODS, build, image

MERGING = ['full', 'frozen', 'partial', 'bitfit', 'norm_tuning', 'ssf', 'lora', 'lora everywhere']
TUNINGS = dict(METHODS, **{'lora everywhere': dict(type='LoRA', rank=2, alpha=3, targets='.*')})


@MODELS.register_module()
class CenteredConv(nn.Conv2d):
    """Uses its weight less the mean of each output, as weight standardisation does, and pads its input itself."""

    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(F.pad(x, self._reversed_padding_repeated_twice), weight, self.bias, self.stride)


@MODELS.register_module()
class ScaledConv(nn.Conv2d):
    """Uses its weight with a trained gain, in what a convolution calls inside."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.gain = nn.Parameter(torch.rand(self.out_channels, 1, 1, 1) + 0.5)

    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, weight * self.gain, bias)


@MODELS.register_module()
class NormAct(nn.BatchNorm2d):
    """Has its activation inside, as timm's EfficientNet has."""

    def forward(self, x):
        return F.silu(super().forward(x))


@pytest.mark.parametrize('method', MERGING)
@pytest.mark.parametrize('name', [*BACKBONES, 'beit', 'convnext'])
def test_merged_backbones_compute_the_same(name, method):
    assert_merges(name, method)


# What is trained beside a convolution has to be what a change of its weight would be, whatever it does with the weight.
@pytest.mark.parametrize(
    'conv',
    [
        dict(type='Conv2d', padding_mode='circular'),
        dict(type='CenteredConv'),
        dict(type='ScaledConv'),
        dict(type='ConvWS'),
    ],
)
@pytest.mark.parametrize('method', ['lora', 'lora everywhere', 'ssf'])
def test_convolutions_of_their_own_kind_merge_too(method, conv):
    assert_merges('resnet', method, conv_cfg=conv)


@pytest.mark.parametrize('method', ['lora', 'ssf', 'norm_tuning'])
def test_norms_with_an_activation_inside_merge_too(method):
    assert_merges('resnet', method, norm_cfg=dict(type='NormAct'))


def test_a_scale_that_does_nothing_is_not_there():
    plain, standardised = (build('resnet', dict(type='SSF'), conv_cfg=cfg) for cfg in (None, dict(type='ConvWS')))
    convs = sum(isinstance(m, nn.Conv2d) for m in plain.backbone.modules())
    assert len(plain.method.changes) - len(standardised.method.changes) == convs


def assert_merges(name, method, **changes):
    torch.manual_seed(0)
    # In double precision, for maps behind convolutions that standardise are large and rounding shows.
    tuned = build(name, TUNINGS[method], **changes).double().eval()
    with torch.no_grad():
        for p in tuned.parameters():
            if p.requires_grad:
                p.add_(torch.rand_like(p) * 0.05)
        before = [p.clone() for p in tuned.backbone.parameters()]
        expected = tuned(image().double())
        assert all(torch.equal(a, b) for a, b in zip(before, tuned.backbone.parameters())), 'running leaves no trace'
        tuned.method.merge(tuned.backbone)
        adds = any(True for _ in tuned.method.parameters())
        assert adds != all(torch.equal(a, b) for a, b in zip(before, tuned.backbone.parameters()))
        plain = build(name, **changes).double()
        plain.load_state_dict(tuned.backbone.state_dict())
        plain.eval()
        found = plain(image().double())
    for a, b in zip(found, expected):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize('method', [name for name in METHODS if name not in MERGING])
def test_others_say_that_they_cannot(method):
    tuned = build('swin', METHODS[method])
    assert not tuned.method.can_merge
    with pytest.raises(ValueError, match=f'{METHODS[method]["type"]} cannot be merged'):
        tuned.method.merge(tuned.backbone)
