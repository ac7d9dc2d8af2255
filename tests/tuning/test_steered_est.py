"""EST that steers: what it computes, and that running blocks again changes nothing."""

import pytest
import torch
from torch import nn
from toy import build, image

from mmest.tuning.side.steered_est import SteeredEST, blocks_to_run_again

BACKBONES = ['swin', 'vit', 'resnet']
CFG = dict(type='SteeredEST', rank=2)


def moved(name: str) -> nn.Module:
    """A tuned backbone in which nothing that trains is zero."""
    torch.manual_seed(1)
    tuned = build(name, CFG)
    for p in tuned.method.parameters():
        nn.init.normal_(p, std=0.05)
    return tuned


@pytest.mark.parametrize('name', BACKBONES)
def test_it_is_est_beside_a_backbone_with_the_updated_weights(name):
    steered = moved(name).eval()
    with torch.no_grad():
        expected = steered(image())
    est = build(name, dict(type='EST')).eval()
    weights = steered.backbone.state_dict()
    for weight, update in zip(steered.method._names, steered.method.updates, strict=True):
        weights[weight] = weights[weight] + update.delta()
    est.backbone.load_state_dict(weights)
    est.method.load_state_dict({k: v for k, v in steered.method.state_dict().items() if not k.startswith('updates.')})
    with torch.no_grad():
        for a, b in zip(est(image()), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', BACKBONES)
def test_blocks_that_run_again_give_the_same_gradients(name, monkeypatch):
    gradients = []
    for again in (True, False):
        with monkeypatch.context() as patch:
            if not again:
                patch.setattr(
                    SteeredEST, '_rerun_in_backward', lambda self, inner, block, *args, **kw: inner(block, *args, **kw)
                )
            tuned = moved(name).train()
            sum(out.square().mean() for out in tuned(image())).backward()
            gradients.append({n: p.grad for n, p in tuned.named_parameters() if p.requires_grad})
    assert gradients[0].keys() == gradients[1].keys()
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][key], rtol=1e-5, atol=1e-7, msg=key)


@pytest.mark.parametrize(
    'kept, again',
    [
        ([1, 1, 1], [0, 1, 2]),
        ([2, 1], [0]),
        ([4, 10, 3, 2, 2, 1], [0, 1, 2]),
        ([1, 10, 3, 2, 3], [0, 1, 2]),
        ([1, 2, 10], [0, 1, 2]),
        ([7], [0]),
        ([0, 0], [0, 1]),
        ([], []),
    ],
)
def test_the_last_blocks_that_keep_half_of_the_largest_do_not_run_again(kept, again):
    found = blocks_to_run_again({f'block {i}': size for i, size in enumerate(kept)})
    assert found == [f'block {i}' for i in again]


def test_all_blocks_run_again_where_memory_counts_most():
    around = [
        [
            place.name
            for place in build('swin', dict(CFG, recompute_all=all_of_them)).method._hook_places
            if place.function is SteeredEST._rerun_in_backward
        ]
        for all_of_them in (False, True)
    ]
    names = [block.name for block in build('swin', CFG).method.anatomy.blocks]
    assert around[1] == names and around[0] == names[: len(around[0])] and 0 < len(around[0]) < len(names)


def test_no_gradient_passes_a_tap():
    """Gradients of the updates are those of the backbone's maps alone, whether the state reaches the outputs or not."""
    tuned = moved('swin').train()
    shares = [torch.randn_like(output) for output in tuned(image())]

    def of_updates(draw):
        for layer in tuned.method.expand:
            draw(layer.weight)
        tuned.zero_grad()
        sum((output * share).sum() for output, share in zip(tuned(image()), shares)).backward()
        return [p.grad for p in tuned.method.updates.parameters()]

    torch.testing.assert_close(of_updates(nn.init.normal_), of_updates(nn.init.zeros_))
