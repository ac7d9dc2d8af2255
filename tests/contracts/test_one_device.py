"""Every method works where the model is: in a training step it makes no tensor on another device.

On the meta device, which like a card refuses tensors of the CPU beside its own.
"""

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from toy import METHODS, build, image


class Elsewhere(TorchDispatchMode):
    """Names of the operators that gave a tensor of another device."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if not on_meta(tree_leaves(result)):
            self.seen.append(str(function))
        return result


def on_meta(values) -> bool:
    return all(value.is_meta for value in values if isinstance(value, Tensor))


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('name', ['vit', 'resnet'])
def test_a_step_stays_on_the_device_of_the_model(name, method):
    tuned = build(name, METHODS[method]).to('meta').train()
    x = image().to('meta')
    with Elsewhere() as elsewhere:
        learning = [feature for feature in tuned(x) if feature.requires_grad]
        assert bool(learning) == (method != 'frozen')
        if learning:
            sum(feature.mean() for feature in learning).backward()
        with torch.no_grad():
            features = tuned.eval()(x)
    assert not elsewhere.seen
    assert on_meta([*features, *tuned.state_dict().values(), *(p.grad for p in tuned.parameters())])
