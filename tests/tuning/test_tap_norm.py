"""The norm of taps: by a batch's statistics in training, else by those of all that was seen, in one process or many."""

import pytest
import torch
import torch.distributed as dist
from processes import run_in_processes
from torch._subclasses.fake_tensor import FakeTensorMode

from mmest.tuning.side import tap_norm
from mmest.tuning.side.tap_norm import TapNorm, taken_in_at_once


def tap(images: int = 2) -> torch.Tensor:
    """Channels as pretrained transformers have them: small, large, large and nearly constant, constant."""
    torch.manual_seed(0)
    h = torch.randn(images, 6, 4, 4)
    return h * torch.tensor([1.0, 40.0, 0.1, 0.0]) + torch.tensor([0.0, 5.0, 1000.0, 3000.0])


def normed(h: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    h, by = h.double(), by.double().flatten(0, 2)
    return ((h - by.mean(0)) / (by.var(0, correction=0) + 1e-5).sqrt()).float()


def test_training_norms_by_the_batch_and_evaluation_by_all_batches():
    batches = tap(6).split(2)
    norm = TapNorm(4)
    for h in batches:
        torch.testing.assert_close(norm(h), normed(h, h), rtol=1e-3, atol=0.05)
    norm.eval()
    for h in batches:
        torch.testing.assert_close(norm(h), normed(h, torch.cat(batches)), rtol=1e-3, atol=0.05)
    assert norm.num_batches_tracked == 3


@pytest.mark.parametrize('drifts, share', [(False, 0.05), (True, 0.1)])
def test_of_many_batches_the_latest_counts_as_one_and_more_where_taps_drift(drifts, share):
    norm = TapNorm(4, drifts)
    for _ in range(19):
        norm(tap())
    before, latest = norm.running_mean.clone(), tap() + 100
    norm(latest)
    torch.testing.assert_close(norm.running_mean, before.lerp(latest.flatten(0, 2).mean(0), share))


def test_a_batch_that_overflowed_is_left_out():
    h, norm = tap(), TapNorm(4)
    for value in (float('inf'), float('nan')):
        spoilt = h.clone()
        spoilt[0, 0, 0, 0] = value
        norm(spoilt)
        norm(h)
    torch.testing.assert_close(norm.eval()(h), normed(h, h), rtol=1e-3, atol=0.05)
    assert norm.num_batches_tracked == 2


@pytest.mark.parametrize('drifts', [False, True])
def test_taken_in_at_once_is_taken_in(drifts):
    taps = [tap(2), tap(4)[..., :3], tap(2)[..., 1:]]
    alone, together = ([TapNorm(h.shape[-1], drifts) for h in taps] for _ in range(2))
    for norms in (alone, together):
        norms[1](tap(6)[..., :3])  # has seen one more than the others
    for h in zip(*[[h, 3 * h, h - 1] for h in taps]):
        found = [norm(x) for norm, x in zip(alone, h)]
        with taken_in_at_once(together):
            before = together[0].running_mean.clone()
            assert all(torch.equal(norm(x), y) for norm, x, y in zip(together, h, found))
            assert torch.equal(together[0].running_mean, before)
    for one, other in zip(alone, together):
        assert all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


def test_a_batch_that_overflowed_at_one_tap_is_left_out_at_all():
    fine, spoilt = TapNorm(4), TapNorm(4)
    with taken_in_at_once([fine, spoilt]):
        fine(tap())
        spoilt(tap() * float('inf'))
    assert torch.equal(fine.running_mean, torch.zeros(4)) and torch.equal(spoilt.running_var, torch.ones(4))
    assert fine.num_batches_tracked == spoilt.num_batches_tracked == 0


def test_an_image_alone_is_normed_by_all_that_were_seen():
    images = tap(3).split(1)
    norm = TapNorm(4)
    for i, h in enumerate(images):
        torch.testing.assert_close(norm(h), normed(h, torch.cat(images[: i + 1])), rtol=1e-3, atol=0.05)


def test_images_of_one_position_are_taken_in_one_by_one():
    positions = torch.tensor([[1.0, 2.0], [3.0, 2.0], [8.0, -1.0]]).view(3, 1, 1, 1, 2)
    norm = TapNorm(2)
    found = [norm(h) for h in positions]
    assert torch.equal(found[0], torch.zeros(1, 1, 1, 2))
    torch.testing.assert_close(norm.running_mean, torch.tensor([4.0, 1.0]))
    torch.testing.assert_close(norm.running_var, positions.flatten(0, 3).var(0, correction=0))


def test_half_precision_is_normed_in_full():
    h = tap().bfloat16()
    norm = TapNorm(4)
    found = norm(h)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), normed(h, h), rtol=0.01, atol=0.02)
    assert norm.running_mean.dtype == torch.float32


def norm_a_share(rank, folder, shares):
    dist.init_process_group('gloo')
    norm, h = TapNorm(4), tap().flatten(0, 1)
    found = norm(h[slice(*shares[rank])][None])
    torch.save((found, norm.state_dict()), folder / f'{rank}.pth')


# The second: of different sizes, as the images of a detector's processes are.
@pytest.mark.parametrize('shares', [((0, 6), (6, 12)), ((0, 4), (4, 12))], ids=['alike', 'apart'])
def test_two_processes_norm_as_one_with_all_images(tmp_path, shares):
    run_in_processes(norm_a_share, 2, tmp_path / 'processes', tmp_path, shares)
    (first, state), (second, other) = (torch.load(tmp_path / f'{rank}.pth') for rank in (0, 1))
    one, h = TapNorm(4), tap()
    torch.testing.assert_close(torch.cat([first, second], 1)[0], one(h).flatten(0, 1), rtol=1e-3, atol=0.05)
    for name, value in one.state_dict().items():
        assert torch.equal(state[name], other[name])
        torch.testing.assert_close(state[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('without_data', [lambda: torch.device('meta'), FakeTensorMode])
def test_one_process_of_several_runs_it_without_data_and_waits_for_none(without_data, monkeypatch):
    monkeypatch.setattr(tap_norm, 'get_world_size', lambda: 2)
    exchanged = []
    monkeypatch.setattr(tap_norm, 'all_reduce', exchanged.append)
    with without_data():
        assert TapNorm(4)(torch.empty(2, 6, 4, 4)).shape == (2, 6, 4, 4)
    assert not exchanged
    TapNorm(4)(tap())
    assert len(exchanged) == 2
