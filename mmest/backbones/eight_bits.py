"""Weights in 8 bits: whole numbers, with a scale for each row."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode

_LEVELS = 127
#: Shorter rows (kernels of depthwise convolutions, tables of biases) save little beside their scale.
_SHORTEST = 32
_OWNERS = (nn.Linear, _ConvNd, nn.MultiheadAttention)
#: What is asked of a weight without its values.
_NO_VALUES = {
    *(getattr(Tensor, name).__get__ for name in ('shape', 'ndim', 'device', 'requires_grad', 'is_cuda')),
    *(Tensor.size, Tensor.dim, Tensor.numel),
}


class Packed(NamedTuple):
    """A parameter in 8 bits.

    Attributes:
        path: of the module that has it, inside the one that was looked through.
        owner: that module. It has the scales in a buffer, which moves with it, and which no state dict has.
        attribute: what it calls the parameter.
    """

    path: str
    owner: nn.Module
    attribute: str

    @property
    def name(self) -> str:
        """Of the parameter, in a state dict."""
        return f'{self.path}.{self.attribute}' if self.path else self.attribute

    @property
    def parameter(self) -> nn.Parameter:
        """Whole numbers from -127 to 127."""
        return self.owner.get_parameter(self.attribute)

    @property
    def scale(self) -> Tensor:
        """One number for each row, which bfloat16 holds."""
        return self.owner.get_buffer(_scale_of(self.attribute))


def can_be_packed(owner: nn.Module, weight: Tensor) -> bool:
    """Whether a weight is a matrix or kernels with rows that are worth it, in a module that works on it by functions of
    torch, where it can be unpacked. Compiled operators (deformable convolutions) would take the numbers as they are.
    """
    in_torch = isinstance(owner, _OWNERS) and not type(owner).__module__.startswith('mmcv.ops')
    return in_torch and weight.ndim > 1 and weight[0].numel() >= _SHORTEST


def pack(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers of a weight's shape in int8, and the scales of its rows in bfloat16.

    Each row is rounded to 255 levels between plus and minus its largest value. What :func:`unpack` makes of it packs
    into the same again: the largest value of a row always gets the last level, and in float32 its product with the
    scale is exact.
    """
    weight = weight.detach().float()
    largest = weight.abs().amax(tuple(range(1, weight.ndim)), keepdim=True)
    scale = (largest / _LEVELS).bfloat16()
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return (weight / scale.float()).round().clamp(-_LEVELS, _LEVELS).to(torch.int8), scale


def unpack(numbers: Tensor, scale: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """The weight again: exact in float32, rounded once more in a narrower dtype."""
    return numbers * scale.to(dtype)


def packed_in(module: nn.Module) -> Iterator[Packed]:
    """All parameters of a module that are in 8 bits."""
    for path, owner in module.named_modules():
        for name in owner._parameters:
            if _scale_of(name) in owner._buffers:
                yield Packed(path, owner, name)


def pack_in_place(owner: nn.Module, name: str) -> None:
    """Pack a parameter of a module."""
    parameter = owner.get_parameter(name)
    parameter.data, scale = pack(parameter)
    owner.register_buffer(_scale_of(name), scale, persistent=False)


def unpack_in_place(packed: Packed) -> None:
    """Give a parameter float32 again."""
    packed.parameter.data = unpack(packed.parameter.data, packed.scale)
    delattr(packed.owner, _scale_of(packed.attribute))


def _scale_of(name: str) -> str:
    return f'{name}_scale_of_8_bits'


def keep_state_dicts_unpacked(module: nn.Module) -> None:
    """State dicts of a module are in float32, those that it gives and those that it takes."""
    module.register_state_dict_post_hook(_give)
    module.register_load_state_dict_pre_hook(_take)


def _give(module: nn.Module, state_dict: dict[str, Tensor], prefix: str, local_metadata: dict) -> None:
    for packed in packed_in(module):
        state_dict[prefix + packed.name] = unpack(packed.parameter.detach(), packed.scale)


def _take(module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *args: Any) -> None:
    for packed in packed_in(module):
        given = state_dict.get(prefix + packed.name)
        if isinstance(given, Tensor) and given.shape == packed.parameter.shape:
            state_dict[prefix + packed.name], scale = pack(given)
            packed.scale.copy_(scale)


class _Unpacking(TorchFunctionMode):
    """Whatever works on a packed weight gets it in bfloat16, for as long as it works."""

    def __init__(self, scales: dict[int, Tensor]) -> None:
        super().__init__()
        self._scales = scales

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        if func in _NO_VALUES:
            return func(*args, **(kwargs or {}))
        return func(*self._unpacked(args), **{name: self._unpacked(value) for name, value in (kwargs or {}).items()})

    def _unpacked(self, value: Any) -> Any:
        if isinstance(value, (tuple, list)):
            return type(value)(map(self._unpacked, value)) if type(value) in (tuple, list) else value
        scale = self._scales.get(id(value))
        return value if scale is None else unpack(value, scale, torch.bfloat16)


@contextmanager
def unpacking(packed: Iterable[Packed]) -> Iterator[None]:
    """Where a module with packed parameters can run: all of them, of :func:`packed_in`."""
    with _Unpacking({id(one.parameter): one.scale for one in packed}):
        yield
