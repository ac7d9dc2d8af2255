"""Remembered results are what the operators give, and share memory with nothing."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmest.measure.planner.remembered import RememberedResults


class Ran(TorchDispatchMode):
    """Notes the operators that reach it."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **kwargs or {})


def image():
    return torch.empty(2, 8, 6, 5, device='meta').to(memory_format=torch.channels_last)


OWN = {
    'add': lambda x: x + 1,
    'sum': lambda x: x.sum((2, 3)),
    'native_layer_norm': lambda x: torch.native_layer_norm(x, [5], None, None, 1e-5),
    'convolution': lambda x: torch.nn.functional.conv2d(x, torch.empty(4, 8, 3, 3, device='meta')),
    '_to_copy': lambda x: x.to(torch.float16),
}


def layouts(result):
    return [
        (one.shape, one.stride(), one.dtype, one.untyped_storage().nbytes())
        for one in (result if isinstance(result, tuple) else [result])
    ]


@pytest.mark.parametrize('name', OWN)
def test_an_operator_runs_once_for_each_layout(name):
    ran, operator, x, other = Ran(), OWN[name], image(), image().contiguous()
    with ran, RememberedResults():
        given = [layouts(operator(x)) for _ in range(3)]
        assert ran.names.count(name) == 1
        operator(other)
        assert ran.names.count(name) == 2
    assert given == [layouts(operator(x))] * 3


def test_results_have_memory_of_their_own():
    x = image()
    with RememberedResults():
        first, second = x + 1, x + 1
        parts = torch.native_layer_norm(x, [5], None, None, 1e-5), torch.native_layer_norm(x, [5], None, None, 1e-5)
    storages = [tensor.untyped_storage() for tensor in (x, first, second, *parts[0], *parts[1])]
    assert len(set(storages)) == 9


def test_views_and_changes_in_place_stay_with_their_tensor():
    x, y = torch.empty(2, 8, 6, device='meta'), torch.empty(2, 8, 6, device='meta')
    with RememberedResults():
        for tensor in (x, y):
            assert tensor.flatten(2).untyped_storage() is tensor.untyped_storage()
            assert tensor.add_(1) is tensor
            assert tensor.unsqueeze_(0).shape == (1, 2, 8, 6)
            assert torch.ops.aten._unsafe_view(tensor, [-1]).untyped_storage() is tensor.untyped_storage()


def test_scalars_of_other_kinds_are_other_arguments():
    x = torch.empty(3, dtype=torch.int64, device='meta')
    with RememberedResults():
        assert [(x + one).dtype for one in (1, 1.0, True)] == [torch.int64, torch.float32, torch.int64]


def test_data_are_looked_at():
    x = torch.tensor([0.0, 1.0])
    with RememberedResults():
        assert (x + 1).tolist() == [1.0, 2.0]
        assert (x + 2).tolist() == [2.0, 3.0]
        x.add_(1)
        x.add_(1)
        assert (x + 1).tolist() == [3.0, 4.0]
