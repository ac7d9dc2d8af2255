"""What a side network keeps for backward in fewer bytes, and gradients that are nearly the exact ones."""

import pytest
import torch
from mmengine.registry import MODELS
from toy import BACKBONES, METHODS, SIDE, image

from mmest.backbones.saved_precision import Int8, saving
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


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('saved', ['bf16', 'int8'])
@pytest.mark.parametrize('more', [{}, dict(recompute=False)])
def test_gradients_of_est_are_nearly_exact(name, saved, more):
    (exact, wanted), (found, rounded) = (gradients(trained('est', kept, name, **more)) for kept in (None, saved))
    assert all(torch.equal(a, b) for a, b in zip(exact, found, strict=True))
    assert 0 < (rounded - wanted).norm() / wanted.norm() < ERROR


@pytest.mark.parametrize('shape, block', [((3, 5, 7), 35), ((4, 8, 8, 48), 64), ((2, 130), 26), ((9, 1), 1)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_eight_bits_are_right_to_half_a_step(shape, block, dtype):
    x = (torch.randn(shape) * 10 ** torch.randn(shape)).to(dtype)
    found = Int8.of(x).restored()
    assert found.shape == x.shape and found.dtype == dtype and found.is_contiguous()
    values, back = x.double().view(-1, block), found.double().view(-1, block)
    step = values.abs().amax(1, keepdim=True) / 127
    # Half a step, and what the type itself cannot hold.
    assert ((values - back).abs() <= step * 0.501 + torch.finfo(dtype).eps * values.abs()).all()
    assert Int8.bytes_of(x) == Int8.of(x).values.nbytes + Int8.of(x).scales.nbytes
    assert Int8.of(torch.zeros(3, 70)).restored().eq(0).all()


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_what_is_no_number_stays_none(value):
    x = torch.ones(2, 64)
    x[1, 3] = value
    found = Int8.of(x).restored()
    assert torch.equal(found[0], x[0]) and not found[1, 3].isfinite()


@pytest.mark.parametrize('more', [{}, dict(recompute=False)])
@pytest.mark.parametrize('saved, share', [('bf16', 0.65), ('int8', 0.45)])
def test_fewer_bytes_wait(more, saved, share):
    held = []
    for dtype in (None, saved):
        tuned, x = trained('est', dtype, **more), image(128, 128)
        with LiveTensorCounter() as counter:
            before = counter.total
            features = tuned(x)
            held.append(counter.total - before - sum(f.nbytes for f in features))
            kept = [p.nbytes for p in (*tuned.parameters(), *tuned.buffers())] + [x.nbytes]
        held[-1] -= sum(kept)
    assert held[1] < share * held[0]


def test_without_gradients_nothing_is_rounded():
    tuned = trained('est', 'bf16').eval()
    plain = trained('est', None).eval()
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(tuned(image()), plain(image())))


@pytest.mark.parametrize('saved', ['bf16', 'int8'])
def test_vectors_and_few_values_seen_as_many_are_kept_as_they_are(saved):
    few, vector, full = (torch.randn(shape, requires_grad=True) for shape in ((1, 64), (64,), (50, 64)))
    with saving(torch.nn.Module(), saved):
        y = few.expand(50, 64).square().sum() + vector.square().sum() + full.square().sum()
    y.backward()
    assert torch.allclose(few.grad, 100 * few, rtol=1e-6) and torch.equal(vector.grad, 2 * vector)
    assert not torch.equal(full.grad, 2 * full)


@pytest.mark.parametrize('method, name', [('lora', 'LoRA'), ('frozen', 'Frozen')])
def test_methods_that_are_not_beside_the_backbone_are_refused(method, name):
    with pytest.raises(ValueError, match=f'a method beside the backbone keeps for backward, and {name} is none'):
        trained(method, 'bf16')


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="saved_dtype should be None, 'bf16' or 'int8', but it is 'fp8'"):
        trained('est', 'fp8')
