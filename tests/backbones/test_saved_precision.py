"""What a side network keeps for backward in bfloat16: half the bytes, and gradients that are nearly the exact ones."""

import pytest
import torch
from mmengine.registry import MODELS
from toy import BACKBONES, METHODS, SIDE, image

from mmest.measure.memory import LiveTensorCounter

# Largest distance of all gradients together from the exact ones, as a share of these.
ERROR = 0.01


def trained(method, saved, name='swin', **more):
    torch.manual_seed(0)
    tuning = dict(METHODS[method], **more)
    return MODELS.build(
        dict(type='TunedBackbone', backbone=dict(BACKBONES[name]), tuning=tuning, saved_dtype=saved)
    ).train()


def gradients(tuned):
    """Of a step away from the zero start, where half of a method has none."""
    torch.manual_seed(1)
    for p in tuned.method.parameters():
        p.data.add_(0.05 * torch.randn_like(p))
    features = tuned(image())
    random = torch.Generator().manual_seed(2)
    sum((f * torch.randn(f.shape, generator=random)).mean() for f in features).backward()
    return features, torch.cat([p.grad.flatten() for p in tuned.method.parameters() if p.grad is not None])


@pytest.mark.parametrize('method', SIDE)
def test_gradients_are_nearly_exact(method):
    (exact, wanted), (found, rounded) = (gradients(trained(method, saved)) for saved in (None, 'bf16'))
    assert all(torch.equal(a, b) for a, b in zip(exact, found, strict=True))  # the forward pass is as without
    assert 0 < (rounded - wanted).norm() / wanted.norm() < ERROR


def test_gradients_of_blocks_that_are_not_recomputed_are_nearly_exact():
    (_, wanted), (_, rounded) = (gradients(trained('est', saved, recompute=False)) for saved in (None, 'bf16'))
    assert 0 < (rounded - wanted).norm() / wanted.norm() < ERROR


@pytest.mark.parametrize('more', [{}, dict(recompute=False)])
def test_half_of_the_bytes_wait(more):
    held = []
    for saved in (None, 'bf16'):
        tuned, x = trained('est', saved, **more), image(128, 128)
        with LiveTensorCounter() as counter:
            before = counter.total
            features = tuned(x)
            held.append(counter.total - before - sum(f.nbytes for f in features))
            kept = [p.nbytes for p in (*tuned.parameters(), *tuned.buffers())] + [x.nbytes]
        held[-1] -= sum(kept)
    assert held[1] < 0.65 * held[0]


def test_without_gradients_nothing_is_rounded():
    tuned = trained('est', 'bf16').eval()
    plain = trained('est', None).eval()
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(tuned(image()), plain(image())))


@pytest.mark.parametrize('method, name', [('lora', 'LoRA'), ('frozen', 'Frozen')])
def test_methods_that_are_not_beside_the_backbone_are_refused(method, name):
    with pytest.raises(ValueError, match=f'a method beside the backbone keeps for backward, and {name} is none'):
        trained(method, 'bf16')


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="saved_dtype should be None or 'bf16', but it is 'fp8'"):
        trained('est', 'fp8')
