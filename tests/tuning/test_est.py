"""EST against a reference written from the formulas of docs/est.md, adapter by adapter."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch.autograd.graph import saved_tensors_hooks
from toy import BACKBONES, TWO_A_STAGE, build, image

from mmest.anatomy.blocks import find_anatomy
from mmest.checkpoints.named_pretrained import without_pretrained
from mmest.configs import configs_root, load_tuning
from mmest.tuning.side.est import EST, ESTBlock, GateLayer, MultiChannelAdapterFusion
from mmest.tuning.side.network import StageChange
from mmest.tuning.side.way import choose_taps, way_of


def randomised(module):
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return module


def layer_norm(x, norm=None):
    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    return x if norm is None else x * norm.weight + norm.bias


def reference_fusion(m, ratios, z):
    normed, widths, total, start = layer_norm(z, m.norm), [max(1, int(z.shape[-1] / r)) for r in ratios], 0, 0
    for weight, width in zip(m.mix.softmax(0), widths):
        rows = slice(start, start + width)
        hidden = F.gelu(normed @ m.down.weight[rows].T + m.down.bias[rows])
        total = total + weight * (hidden @ m.up.weight[:, rows].T)
        start += width
    return total + m.up.bias


def reference_gate(m, kind, new, state):
    if kind == 'dynamic':
        means = torch.cat([new.mean((1, 2)), state.mean((1, 2))], 1)
        g = torch.sigmoid(means @ m.choose.weight.T + m.choose.bias)[:, None, None]
    else:
        g = torch.sigmoid(m.logit)
    return g * new + (1 - g) * state


@pytest.mark.parametrize('ratios', [(1, 2, 4), (2,), (1, 3, 100)])
def test_fusion(ratios):
    m, z = randomised(MultiChannelAdapterFusion(12, ratios)), torch.randn(2, 3, 5, 12)
    torch.testing.assert_close(m(z), reference_fusion(m, ratios, z))


@pytest.mark.parametrize('kind', ['scalar', 'channel', 'dynamic'])
def test_gate(kind):
    m, new, state = GateLayer(8, kind), torch.randn(2, 3, 5, 8), torch.randn(2, 3, 5, 8)
    torch.testing.assert_close(m(new, state), (new + state) / 2)
    randomised(m)
    torch.testing.assert_close(m(new, state), reference_gate(m, kind, new, state))


@pytest.mark.parametrize('size', [(4, 6), (5, 7)])
def test_stage_change_pools_by_two(size):
    m, s = randomised(StageChange(4, 6)), torch.randn(1, *size, 4)
    half = ((size[0] + 1) // 2, (size[1] + 1) // 2)
    corner = s[:, :2, :2].mean((1, 2))
    out = m(s, half)
    assert out.shape == (1, *half, 6)
    torch.testing.assert_close(out[:, 0, 0], m.project(corner))
    if size[0] % 2:  # the last row has no neighbour: it is averaged over what there is
        torch.testing.assert_close(out[:, -1, 0], m.project(s[:, -1:, :2].mean((1, 2))))


@pytest.mark.parametrize(
    'knobs',
    [
        {},
        dict(gate='scalar', taps='block'),
        dict(gate='channel', ratios=(2, 8), taps='stage'),
        dict(kernel_size=5, reduction=2),
        dict(tap_norm='layer', state_norm=False),
    ],
)
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('name', ['swin', 'resnet', 'vit'])
def test_whole_network(name, training, knobs):
    tuned = build(name, dict(type='EST', **knobs)).train(training)
    method = randomised(tuned.method)
    for norm in method.tap_norms or ():
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    seen = []
    method.register_forward_pre_hook(lambda module, args: seen.append(args))
    outputs = tuned(image())
    features, taps, _ = seen[0]
    ratios, gate = knobs.get('ratios', (2, 4)), knobs.get('gate', 'dynamic')
    s, states = None, {}
    for i, (tap, block) in enumerate(zip(taps, method.blocks)):
        h = tap.feature.permute(0, 2, 3, 1)
        if knobs.get('tap_norm') == 'layer':
            h = layer_norm(h)
        elif training:
            h = (h - h.mean((0, 1, 2))) / (h.var((0, 1, 2), unbiased=False) + 1e-5).sqrt()
        else:
            norm = method.tap_norms[i]
            h = (h - norm.running_mean) / (norm.running_var + 1e-5).sqrt()
        z = h @ block.reduce.weight.T + block.reduce.bias
        if s is not None:
            if s.shape[1:3] != h.shape[1:3]:
                s = F.avg_pool2d(s.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1)
            if str(i) in method.changes:
                s = method.changes[str(i)].project(s)
            z = reference_gate(block.gate, gate, z, s)
        a = reference_fusion(block.fusion, ratios, z).permute(0, 3, 1, 2)
        s = z + block.dwconv(a).permute(0, 2, 3, 1)
        states[tap.block] = s
    for k, output in enumerate(find_anatomy(tuned.backbone).outputs):
        f, s = features[k], states[output.block]
        wanted = f + linear_map(method.expand[k], layer_norm(s) if knobs.get('state_norm', True) else s)
        torch.testing.assert_close(outputs[k], wanted, rtol=1e-3, atol=1e-3)


def linear_map(layer, x):
    """B×H×W×d to B×C×H×W."""
    return (x @ layer.weight.T + layer.bias).permute(0, 3, 1, 2)


@pytest.mark.parametrize('name', ['swin', 'resnet', 'vit'])
def test_every_part_starts_at_the_frozen_outputs(name):
    tuned = build(name, dict(type='EST'))
    for found, frozen in zip(tuned(image()), tuned.backbone(image())):
        assert torch.equal(found, frozen)


@pytest.mark.parametrize('name', ['swin', 'vit'])
def test_every_part_trains(name):
    tuned = build(name, dict(type='EST'))
    randomised(tuned.method)
    tuned.train()
    sum(f.square().mean() for f in tuned(image())).backward()
    idle = [name for name, p in tuned.method.named_parameters() if p.grad is None or not p.grad.any()]
    assert not idle


def test_recomputation_gives_the_same_gradients():
    tuned = build('swin', dict(type='EST'))
    randomised(tuned.method).train()
    tuned.train()

    def gradients():
        tuned.zero_grad()
        sum(f.square().mean() for f in tuned(image())).backward()
        return [p.grad.clone() for p in tuned.method.parameters()]

    recomputed = gradients()
    tuned.method.recompute = False
    for a, b in zip(recomputed, gradients()):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize('name', BACKBONES)
def test_mixed_precision_keeps_taps_in_half_the_bytes(name):
    """The stream of a transformer is float32 there, but what EST computes from it is not."""
    found = []
    for recompute in (True, False):
        torch.manual_seed(0)
        tuned, kept = build(name, dict(type='EST', recompute=recompute)).train(), []
        randomised(tuned.method)
        see = saved_tensors_hooks(lambda x, kept=kept: kept.append(x) or x, lambda x: x)
        with torch.autocast('cpu', torch.bfloat16), see:
            outputs = tuned(image())
        taps = [x for x in kept if x.ndim == 4 and x.shape[-1] in {block.channels for block in tuned.method.tapped}]
        assert (taps or not recompute) and all(x.dtype == torch.bfloat16 for x in taps)
        sum(x.float().square().mean() for x in outputs).backward()
        found.append(torch.cat([p.grad.flatten() for p in tuned.method.parameters()]))
    again, kept_all = found
    assert (again - kept_all).norm() < 0.01 * kept_all.norm()


def test_tap_density():
    anatomy = find_anatomy(build('swin', **TWO_A_STAGE))  # an output behind each second block
    assert choose_taps(way_of(anatomy), 'block') == list(range(8))
    assert choose_taps(way_of(anatomy), 'stage') == choose_taps(way_of(anatomy), 2) == [1, 3, 5, 7]
    assert choose_taps(way_of(find_anatomy(build('vit'))), 2) == [1, 3]
    assert choose_taps(way_of(find_anatomy(build('vit'))), 1) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    'outputs, every_second, every, per_stage',
    [
        ((0, 3), [1, 3, 5, 7], list(range(8)), [1, 3, 5, 7]),
        ((1, 2), [3, 5], [2, 3, 4, 5], [3, 5]),
        ((2,), [5], [4, 5], [5]),
    ],
)
def test_no_tap_is_finer_than_the_finest_output(outputs, every_second, every, per_stage):
    anatomy = find_anatomy(MODELS.build(dict(BACKBONES['swin'], **TWO_A_STAGE, out_indices=outputs)))
    assert choose_taps(way_of(anatomy), 2) == every_second
    assert choose_taps(way_of(anatomy), 1) == every
    assert choose_taps(way_of(anatomy), 'stage') == per_stage
    assert choose_taps(way_of(anatomy), 'block') == list(range(2 * max(outputs) + 2))


def test_parameter_count_in_closed_form():
    c, r = (16, 32, 64, 128), 2
    d = [max(8, width // r) for width in c]
    hidden = [n // 2 + n // 4 for n in d]
    fusion = sum(2 * n + n * h + h + h * n + n + 2 for n, h in zip(d, hidden))  # norm, down, up, mixture
    blocks = (
        sum(width * n + n for width, n in zip(c, d))
        + fusion
        + sum(49 * n + n for n in d)
        + sum(2 * n * n + n for n in d[1:])
    )  # gates
    changes = sum(a * b + b for a, b in zip(d, d[1:]))
    expand = sum(n * width + width for width, n in zip(c, d))
    method = build('swin', dict(type='EST', reduction=r, taps=2), **TWO_A_STAGE).method
    assert sum(p.numel() for p in method.parameters()) == blocks + changes + expand


SHIPPED = sorted((configs_root() / '_base_' / 'backbones').glob('*.py'))
OTHERS = dict(r18=dict(type='ResNet', depth=18), x50=dict(type='ResNeXt', depth=50, groups=32, base_width=4))


@pytest.mark.parametrize('source', [*SHIPPED, *OTHERS], ids=lambda source: getattr(source, 'stem', source))
def test_default_width_is_96_or_half_of_the_stage(source):
    init_default_scope('mmdet')
    config = OTHERS[source] if source in OTHERS else without_pretrained(Config.fromfile(source).backbone)
    if config['type'].startswith('mmpretrain.'):
        pytest.importorskip('mmpretrain.models')
    backbone = MODELS.build(config)
    method = EST(backbone, **{key: value for key, value in load_tuning('est').items() if key != 'type'})
    for tapped, block in zip(method.tapped, method.blocks):
        wanted, width = min(96, tapped.width / 2), block.reduce.out_features
        assert abs(width - wanted) <= 4 and width % 8 == 0
    assert sum(p.numel() for p in method.parameters()) < 0.2 * sum(p.numel() for p in backbone.parameters())


@pytest.mark.parametrize(
    'knobs, message',
    [
        (dict(tap_norm='group'), 'tap_norm should be one of batch, layer'),
        (dict(gate='soft'), 'gate should be one of scalar, channel, dynamic'),
        (dict(taps='all'), "taps should be 'block'"),
        (dict(taps=0), 'taps should be a text or a whole number from 1 to'),
        (dict(kernel_size=4), 'kernel_size should be a whole number from 1 to 63, odd'),
    ],
)
def test_bad_knobs_get_a_sentence(knobs, message):
    with pytest.raises(ValueError, match=message):
        build('swin', dict(type='EST', **knobs))


def test_block_without_a_state_has_no_gate():
    assert ESTBlock(8, 4, True, (1,), 'channel', 3).gate is None
