"""What runs again in the backward pass draws the random numbers that it drew in the forward pass, on a card too."""

import torch
import torch.utils.checkpoint
from torch import nn
from torch.utils._pytree import tree_leaves

from mmest.levers.recomputing import recompute


class Masked(nn.Module):
    def forward(self, maps, mask):
        return maps[0] * mask


def test_torch_is_shown_all_tensors_on_whose_cards_numbers_are_drawn(monkeypatch):
    seen = []

    def look(*args):
        seen.extend(value for value in tree_leaves(args) if isinstance(value, torch.Tensor))
        return [], []

    monkeypatch.setattr(torch.cuda, '_initialized', True)
    monkeypatch.setattr(torch.utils.checkpoint.DefaultDeviceType, '_default_device_type', 'cuda')
    monkeypatch.setattr(torch.utils.checkpoint, 'get_device_states', look)
    module, x, mask = Masked(), torch.ones(2, requires_grad=True), torch.full((2,), 3.0)
    recompute(module)
    for run in (lambda: module([x], mask), lambda: module([x], mask=mask), lambda: module(maps=(x,), mask=mask)):
        seen.clear()
        x.grad = None
        run().sum().backward()
        assert [id(one) for one in seen] == [id(x), id(mask)]
        assert torch.equal(x.grad, mask)
