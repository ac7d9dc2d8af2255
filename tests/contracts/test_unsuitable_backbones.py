"""Contract 11: a backbone that a method cannot tune is refused when it is built, in a sentence."""

import pytest
import torch
from mmengine.registry import MODELS
from toy import HRNET

from mmest.tuning import build_tuning

VIT = dict(type='mmseg.VisionTransformer', img_size=64, embed_dims=32, num_layers=2, num_heads=2)


# Their resolution rises: parallel branches, a decoder, a second path of high resolution.
RISING = {
    'hrnet': HRNET,
    'erfnet': dict(type='mmseg.ERFNet'),
    'hourglass': dict(
        type='HourglassNet',
        downsample_times=3,
        num_stacks=1,
        stage_channels=[16, 16, 24, 32],
        stage_blocks=[1, 1, 1, 1],
        feat_channel=16,
    ),
}


def tuned(backbone: dict, method: str) -> torch.nn.Module:
    return MODELS.build(dict(type='TunedBackbone', backbone=backbone, tuning=dict(type=method)))


@pytest.mark.parametrize('name', ['erfnet', 'hourglass'])
def test_est_refuses_a_resolution_that_rises_to_that_of_the_output(name):
    with pytest.raises(
        ValueError, match=r'resolution of \w+ rises from \d+×\d+ behind block .* Full, Partial or Frozen'
    ):
        tuned(RISING[name], 'EST')


def test_parallel_branches_without_their_coarse_outputs_are_such_too():
    outputs = dict(RISING['hrnet'], multiscale_output=False)
    with pytest.raises(ValueError, match='some blocks are coarser than all outputs that they feed'):
        tuned(outputs, 'EST')


@pytest.mark.parametrize('name', RISING)
def test_e3va_follows_the_downsampling_of_the_backbone(name):
    with pytest.raises(ValueError, match=r'resolution of \w+ rises from'):
        tuned(RISING[name], 'E3VA')


@pytest.mark.parametrize('method', ['Full', 'Frozen', 'Partial'])
def test_what_the_sentence_names_instead_works(method):
    model = tuned(RISING['hourglass'], method)
    model.eval()
    x = torch.ones(1, 3, 64, 64)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(model(x), model.backbone(x)))


@pytest.mark.parametrize('method', ['EST', 'Partial'])
def test_outputs_that_are_no_maps(method):
    with pytest.raises(ValueError, match='output 0 should be a B×C×H×W map, but it is a list. .* without class tokens'):
        tuned(dict(VIT, output_cls_token=True), method)


@pytest.mark.parametrize('method', ['EST', 'Partial'])
@pytest.mark.parametrize(
    'backbone, sentence',
    [
        (dict(type='mmseg.FastSCNN', out_indices=(0,)), 'no output depends on a block'),
        (dict(type='mmseg.MobileNetV3'), 'no blocks were found'),
    ],
    ids=['fast-scnn', 'mobilenet v3'],
)
def test_blocks_that_cannot_be_found_or_reached(method, backbone, sentence):
    with pytest.raises(ValueError, match=sentence):
        tuned(backbone, method)


# A layer behind the last block of a stage changes the channels.
PROJECTED = {
    'cspdarknet': dict(type='CSPDarknet', widen_factor=0.125, deepen_factor=0.33),
    'cspnext': dict(type='CSPNeXt', widen_factor=0.125, deepen_factor=0.33),
    'mobilenet v2': dict(type='MobileNetV2', widen_factor=0.25),
    'efficientnet': dict(type='EfficientNet', arch='b0', out_indices=(4, 6)),
}


@pytest.mark.parametrize('method', ['DTL', 'E3VA'])
@pytest.mark.parametrize('name', PROJECTED)
def test_outputs_of_other_channels_than_their_block(name, method):
    with pytest.raises(ValueError, match=r'output \d of \w+ has \d+ channels and block ".+", .* such as EST or LST'):
        tuned(PROJECTED[name], method)


@pytest.mark.parametrize('method', ['EST', 'LST'])
@pytest.mark.parametrize('name', PROJECTED)
def test_methods_that_project_their_state_take_them(name, method):
    model = tuned(PROJECTED[name], method).train()
    sum(f.sum() for f in model(torch.rand(2, 3, 64, 64))).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


class Widening(torch.nn.Module):
    """A block that changes the number of channels."""

    def __init__(self, before, after):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(before, after, 3, padding=1)
        self.conv2 = torch.nn.Conv2d(after, after, 3, padding=1)

    def forward(self, x):
        return self.conv2(self.conv1(x).relu())


class Narrow(torch.nn.Module):
    """No block keeps its shape."""

    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList([Widening(3, 8), Widening(8, 12)])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return (x,)


def test_a_method_that_finds_no_place_to_act_says_so():
    with pytest.raises(ValueError, match='Convpass finds no place to act in Narrow: it acts beside attention and MLP'):
        build_tuning(dict(type='Convpass'), Narrow())
    assert len(build_tuning(dict(type='Adapter'), Narrow()).inserted) == 2
