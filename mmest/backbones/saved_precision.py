"""The precision in which maps wait for the backward pass."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

SAVED = (None, 'bf16', 'int8')

#: How many values of a map, as they lie in memory, share a scale in 8 bits.
BLOCK = 64


@dataclass(frozen=True)
class Int8:
    """A map in 8 bits, by blocks: each value is a multiple of a 127th of the largest of its block (blockwise
    quantisation; Dettmers et al., "8-bit Optimizers via Block-wise Quantization", ICLR 2022, with even steps).
    """

    values: Tensor
    scales: Tensor
    shape: torch.Size
    dtype: torch.dtype

    narrows: ClassVar = (torch.float32, torch.bfloat16, torch.float16)
    bytes_each: ClassVar = 1 + 4 / BLOCK

    @classmethod
    def of(cls, x: Tensor) -> 'Int8':
        flat = x.detach().flatten()
        blocks = F.pad(flat, (0, -len(flat) % BLOCK)).view(-1, BLOCK).float()
        scales = blocks.abs().amax(1, keepdim=True) / 127
        # A block of zeros has no scale to divide by.
        values = (blocks / scales.clamp(min=torch.finfo(torch.float32).tiny)).round().to(torch.int8)
        return cls(values, scales, x.shape, x.dtype)

    def restored(self) -> Tensor:
        flat = (self.values * self.scales).flatten()
        return flat[: self.shape.numel()].view(self.shape).to(self.dtype)


@dataclass(frozen=True)
class BF16:
    """A map in bfloat16."""

    values: Tensor

    narrows: ClassVar = (torch.float32,)
    bytes_each: ClassVar = 2

    @classmethod
    def of(cls, x: Tensor) -> 'BF16':
        # Without history: a saved result must not own its own graph.
        return cls(x.detach().bfloat16())

    def restored(self) -> Tensor:
        return self.values.float()


def saving(module: nn.Module, dtype: str | None) -> AbstractContextManager:
    """What a module's forward pass runs in, so that backward keeps maps in fewer bytes.

    The forward pass is as without; gradients are those of rounded maps. Weights are kept as they are.

    Args:
        module: whose weights these are.
        dtype: ``bf16``: float32 maps in half the bytes; ``int8``: all maps in one byte a value, and a sixteenth of one
            more; None: as they are.
    """
    if dtype is None or not torch.is_grad_enabled():
        return nullcontext()
    kind: type[BF16 | Int8] = BF16 if dtype == 'bf16' else Int8
    # The storage's Python object lives exactly as long as the storage, and fake tensors have one too.
    weights = {id(p.untyped_storage()) for p in module.parameters()}

    def pack(x: Tensor) -> Tensor | BF16 | Int8:
        storage = x.untyped_storage()
        # Of a view of a larger map, or of a few values seen as many, a copy would add bytes.
        fewer = x.dtype in kind.narrows and kind.bytes_each * x.numel() < storage.nbytes()
        rounds = fewer and id(storage) not in weights
        return kind.of(x) if rounds else x.detach()

    def unpack(packed: Tensor | BF16 | Int8) -> Tensor:
        return packed if isinstance(packed, Tensor) else packed.restored()

    return saved_tensors_hooks(pack, unpack)
