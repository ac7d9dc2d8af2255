"""The memory of a tuned backbone at any size, by fake tensors."""

from functools import cache
from typing import NamedTuple

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from mmest.measure.memory.categories import WEIGHTS_FROZEN
from mmest.measure.memory.live import LiveTensorCounter


class BackboneMemory(NamedTuple):
    """Live bytes of a tuned backbone alone, weights included.

    Attributes:
        forward: at most in the forward pass.
        held: after it: outputs, and all that is kept for backward.
        backward: at most in the backward pass, from gradients of all outputs.
    """

    forward: int
    held: int
    backward: int


class FakeBackbone:
    """A backbone under a tuning method without data.

    Args:
        backbone: a TunedBackbone in training mode. It is used up: its tensors are replaced.
    """

    def __init__(self, backbone: nn.Module) -> None:
        # Some keep constants outside of parameters and buffers: they stay real.
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self._backbone = backbone
        known: dict = {}
        for module in backbone.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    module._parameters[name] = known.setdefault(
                        parameter,
                        nn.Parameter(self._mode.from_tensor(parameter.data), requires_grad=parameter.requires_grad),
                    )
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    module._buffers[name] = self._mode.from_tensor(buffer)

    @cache  # noqa: B019 -- lives as long as the plan
    def memory(self, batch_size: int, size: tuple[int, int]) -> BackboneMemory:
        """The memory for a batch of images of a size.

        Raises:
            torch._subclasses.fake_tensor.DataDependentOutputException: the method looks at values.
        """
        self._backbone.zero_grad(set_to_none=True)
        counter = LiveTensorCounter()
        with self._mode, counter:
            for tensor in (*self._backbone.parameters(), *self._backbone.buffers()):
                counter.label(tensor, WEIGHTS_FROZEN)
            features = self._backbone(torch.empty(batch_size, 3, *size))
            forward, held = counter.peak.total, counter.total
            counter.restart_peak()
            learning = [feature for feature in features if feature.requires_grad]
            if learning:
                torch.autograd.backward(learning, [torch.empty_like(feature) for feature in learning])
        return BackboneMemory(forward, held, counter.peak.total)
