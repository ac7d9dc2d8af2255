"""Networks beside the backbone against references written from their definitions."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toy import METHODS, TWO_A_STAGE, build, image, images, randomised

from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.branches import find_branches
from mmest.tuning.lorand import LowRankAdapter
from mmest.tuning.side.dtl import swish
from mmest.tuning.side.lst import WindowAttention
from mmest.tuning.side.network import projected


def taps_of(tuned):
    seen = []
    tuned.method.register_forward_pre_hook(lambda module, args: seen.append(args))
    with torch.no_grad():
        outputs = tuned(image())
    return outputs, *seen[0]


def test_side_tuning_blends():
    tuned = build('swin', METHODS['side_tuning'])
    method = randomised(tuned.method)
    outputs, features, _, x = taps_of(tuned)
    for output, feature, level, project, alpha in zip(outputs, features, method.levels, method.project, method.alphas):
        side = x
        for layer in method.pyramid[:level]:
            side = layer(side)
        torch.testing.assert_close(output, alpha * feature + (1 - alpha) * project(side))


def test_dtl_sums_low_rank_maps_of_a_stage():
    tuned = build('swin', METHODS['dtl'])
    method = randomised(tuned.method)
    outputs, features, taps, _ = taps_of(tuned)
    for k, (output, feature) in enumerate(zip(outputs, features)):
        r = sum(
            tap.feature.permute(0, 2, 3, 1) @ method.down[str(i)].weight.T @ method.up[str(i)].weight.T
            + method.up[str(i)].bias
            for i, tap in enumerate(taps)
            if tap.stage == k
        )
        z = images(r / (1 + torch.exp(-100 * r)))
        conv = method.convs[str(k)]
        wanted = feature + F.conv2d(z, conv.weight, padding=2, groups=z.shape[1])
        torch.testing.assert_close(output, wanted, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(swish(torch.tensor([-1.0, 0.0, 2.0])), torch.tensor([0.0, 0.0, 2.0]))


def test_lst_gates_each_rung():
    tuned = build('swin', METHODS['lst'], **TWO_A_STAGE)
    method = randomised(tuned.method)
    outputs, features, taps, _ = taps_of(tuned)
    s = None
    for i, tap in enumerate(taps):
        x = method.reduce[i](tap.feature.permute(0, 2, 3, 1))
        if s is not None:
            if str(i) in method.changes:
                s = method.changes[str(i)].project(F.avg_pool2d(images(s), 2).permute(0, 2, 3, 1))
            mu = 1 / (1 + math.exp(-float(method.gates[i - 1].detach()) / 0.1))
            x = mu * x + (1 - mu) * s
        s = method.blocks[i](x)
        if i % 2:  # two blocks in every stage
            k = i // 2
            torch.testing.assert_close(outputs[k], features[k] + images(method.expand[k](s)), rtol=1e-4, atol=1e-4)


def test_attention_in_windows_is_attention_within_each_window():
    m = randomised(WindowAttention(64, 4))
    assert m.heads == 2
    reference = nn.MultiheadAttention(64, 2, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(m.qkv.weight)
        reference.in_proj_bias.copy_(m.qkv.bias)
        reference.out_proj.weight.copy_(m.project.weight)
        reference.out_proj.bias.copy_(m.project.bias)
        x = torch.randn(2, 8, 12, 64)
        window = x[:, 4:, 4:8].flatten(1, 2)
        wanted = reference(window, window, window)[0]
        torch.testing.assert_close(m(x)[:, 4:, 4:8].flatten(1, 2), wanted, rtol=1e-4, atol=1e-5)
        part = m(x[:, :5, :7])
        assert part.shape == (2, 5, 7, 64)
        torch.testing.assert_close(part[:, :4, :4], m(x)[:, :4, :4])  # what is filled up lies behind
        filled = F.pad(x[:, 4:5, 4:7], (0, 0, 0, 1, 0, 3)).flatten(1, 2)
        wanted = reference(filled, filled, filled)[0].unflatten(1, (4, 4))[:, :1, :3]
        torch.testing.assert_close(part[:, 4:, 4:], wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', ['swin', 'vit'])
def test_e3va_sums_adapters_along_the_highway(name):
    tuned = build(name, METHODS['e3va'])
    method = randomised(tuned.method)
    results, handles = {}, []
    for branch in find_branches(tuned.backbone, find_anatomy(tuned.backbone)):
        see = partial(lambda key, module, args, output: results.setdefault(key, output), (branch.block, branch.kind))
        handles.append(tuned.backbone.get_submodule(branch.end).register_forward_hook(see))
    outputs, features, taps, _ = taps_of(tuned)
    for handle in handles:
        handle.remove()
    s, k, last = None, 0, None
    for i, tap in enumerate(taps):
        h = tap.feature.permute(0, 2, 3, 1)
        if last is not None and tap.stage != last.stage:
            down, hw = tuned.backbone.stages[last.stage].downsample, tuple(last.feature.shape[-2:])
            highway, old = (
                x.flatten(1, 2) for x in (last.feature.permute(0, 2, 3, 1) + s, last.feature.permute(0, 2, 3, 1))
            )
            s = (down(highway, hw)[0] - down(old, hw)[0]).unflatten(1, h.shape[1:3])
        for adapter, kind in zip(method.adapters[i], ('attention', 'mlp'), strict=True):
            r = results[i, kind]
            y = adapter(r[:, r.shape[1] - h[0, ..., 0].numel() :].unflatten(1, h.shape[1:3]))
            s = y if s is None else s + y
        last = tap
        if i in method.sources:
            wanted = method.gains[k] * (features[k] + images(s)) + method.biases[k]
            torch.testing.assert_close(outputs[k], wanted, rtol=1e-4, atol=1e-4)
            k += 1
    assert k == len(outputs) and len(method.changes) == 0


def test_e3va_carries_small_corrections_from_stage_to_stage_in_mixed_precision():
    """As exactly as its adapters are: neither of the two results that it subtracts is rounded."""
    tuned, found = build('swin', METHODS['e3va']).eval(), []
    randomised(tuned.method.adapters)
    for adapter in tuned.method.adapters.modules():
        if isinstance(adapter, LowRankAdapter):
            adapter.up.b.data *= 1e-3
            adapter.up.bias.data *= 1e-3
    for mixed in (False, True):
        with tuned.method.passing(tuned.backbone) as run, torch.no_grad():
            maps = tuned.run_backbone(image())
            features, taps = tuned.gather(maps, image(), run)
            with torch.autocast('cpu', torch.bfloat16, enabled=mixed):
                outputs = tuned.method(features, taps, image())
            found.append([output - feature for output, feature in zip(outputs, features)])
    for exact, rounded in zip(*found):
        assert 0 < exact.norm() < 0.05 * features[0].norm()
        assert (rounded - exact).norm() < 0.02 * exact.norm()


def test_a_projected_state_lies_in_memory_as_outputs_do():
    """Then neither the sum with an output nor its gradient is turned."""
    layer, state = nn.Linear(8, 20), torch.rand(3, 6, 5, 8, requires_grad=True)
    found, expected = projected(state, layer), layer(state).permute(0, 3, 1, 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    assert found.is_contiguous() and not expected.is_contiguous()
    upstream, wanted = torch.rand(3, 20, 6, 5), [state, layer.weight, layer.bias]
    gradients = (torch.autograd.grad(x, wanted, upstream) for x in (found, expected))
    for a, b in zip(*gradients):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
