"""The class of a pixel is the one that argmax gives."""

import pytest
import torch

from mmest.prediction.largest import LargestByMax


class Noted(torch.overrides.TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.functions = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.functions.append(func)
        return func(*args, **kwargs or {})


@pytest.mark.parametrize('special', [None, float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('classes', [2, 3, 21])
def test_places_are_those_of_argmax(classes, dtype, special):
    """Among equals too, of which there are many."""
    logits = torch.randint(0, 3, (classes, 33, 65)).to(dtype)
    if special is not None:
        logits[torch.rand(logits.shape) < 0.2] = special
    with Noted() as noted, LargestByMax():
        found = logits.argmax(dim=0, keepdim=True), logits.argmax(dim=0), logits.argmax()
    assert noted.functions.count(torch.Tensor.max) == 2
    for one, expected in zip(found, (logits.argmax(dim=0, keepdim=True), logits.argmax(dim=0), logits.argmax())):
        assert one.dtype == torch.int64
        assert torch.equal(one, expected)
