"""How far outputs deviate, over all batches that were seen."""

import pytest
import torch

from mmest.tuning.side.seen import Deviation, taken_in_at_once


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('scale, wanted', [(5.0, 5.0), (0.3, 1.0)])
def test_it_is_that_of_all_batches_before_and_at_least_one(scale, wanted, dtype):
    torch.manual_seed(0)
    # Channels of other means, which are none of their deviations.
    maps = (scale * torch.randn(6, 3, 8, 9) + torch.tensor([0.0, 50.0, -7.0]).view(3, 1, 1)).to(dtype)
    deviation = Deviation(3)
    assert deviation(maps[:2]) == 1, 'nothing was seen before'
    for some in maps[2:].split(2):
        deviation(some)
    of_all = maps.float().var((0, 2, 3), correction=0).mean().sqrt().clamp(min=1)
    assert deviation.eval()(maps[:1]) == pytest.approx(of_all.item(), rel=1e-4)
    assert of_all.item() == pytest.approx(wanted, rel=0.05)
    before = {name: value.clone() for name, value in deviation.state_dict().items()}
    deviation(100 * maps)
    assert all(torch.equal(value, before[name]) for name, value in deviation.state_dict().items())


def test_no_gradient_passes_it():
    maps, deviation = torch.randn(2, 3, 4, 4, requires_grad=True), Deviation(3, drifts=True)
    with taken_in_at_once([deviation]):
        assert not deviation(maps).requires_grad
    assert not deviation.running_var.requires_grad and deviation.num_batches_tracked == 1
