"""The norm of taps: what several processes compute is what one computes."""

import torch
import torch.distributed as dist
from processes import run_in_processes

from mmest.tuning.side.tap_norm import TapNorm


def tap() -> torch.Tensor:
    """Two images' tap with channels as pretrained transformers have them: small, large, large and nearly constant."""
    torch.manual_seed(0)
    h = torch.randn(2, 6, 4, 4)
    return h * torch.tensor([1.0, 40.0, 0.1, 0.0]) + torch.tensor([0.0, 5.0, 1000.0, 3000.0])


def norm_a_share(rank, folder):
    dist.init_process_group('gloo')
    norm, h = TapNorm(4), tap()
    # Of different sizes, as the images of a detector's processes are.
    h = h.flatten(0, 1)[[slice(0, 4), slice(4, None)][rank]][None]
    found = norm(h)
    torch.save((found, norm.state_dict()), folder / f'{rank}.pth')


def test_two_processes_norm_as_one_with_all_images(tmp_path):
    run_in_processes(norm_a_share, 2, tmp_path / 'processes', tmp_path)
    (first, state), (second, other) = (torch.load(tmp_path / f'{rank}.pth') for rank in (0, 1))
    one, h = TapNorm(4), tap()
    expected = one(h).flatten(0, 1)
    found = torch.cat([first, second], 1)[0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=0.02)
    for name, value in one.state_dict().items():
        assert torch.equal(state[name], other[name])
        torch.testing.assert_close(state[name], value, rtol=1e-4, atol=1e-6)
