"""The precision in which maps wait for the backward pass."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

SAVED = (None, 'bf16', 'int8')

#: How many values share a scale in 8 bits, at most.
BLOCK = 64


@dataclass(frozen=True)
class Int8:
    """A map in 8 bits, by blocks: each value is a multiple of a 127th of the largest of its block (blockwise
    quantisation; Dettmers et al., "8-bit Optimizers via Block-wise Quantization", ICLR 2022, with even steps).

    Blocks are parts of an image, of equal size and in the order of the dimensions, so that nothing is padded.
    """

    values: Tensor
    scales: Tensor
    shape: torch.Size
    dtype: torch.dtype

    narrows: ClassVar = (torch.float32, torch.bfloat16, torch.float16)

    @staticmethod
    def _block(x: Tensor) -> int:
        return max(size for size in range(1, BLOCK + 1) if x.shape[1:].numel() % size == 0)

    @classmethod
    def bytes_of(cls, x: Tensor) -> float:
        return x.numel() * (1 + 4 / cls._block(x))

    @classmethod
    def of(cls, x: Tensor) -> 'Int8':
        blocks = x.detach().reshape(-1, cls._block(x))
        scales = torch.linalg.vector_norm(blocks, torch.inf, 1, keepdim=True, dtype=torch.float32) / 127
        # A block of zeros has no scale to divide by.
        values = (blocks / scales.clamp(min=torch.finfo(torch.float32).tiny)).round_().to(torch.int8)
        return cls(values, scales, x.shape, x.dtype)

    def restored(self) -> Tensor:
        return (self.values * self.scales).view(self.shape).to(self.dtype)


@dataclass(frozen=True)
class BF16:
    """A map in bfloat16."""

    values: Tensor

    narrows: ClassVar = (torch.float32,)

    @staticmethod
    def bytes_of(x: Tensor) -> float:
        return 2 * x.numel()

    @classmethod
    def of(cls, x: Tensor) -> 'BF16':
        # Without history: a saved result must not own its own graph.
        return cls(x.detach().bfloat16())

    def restored(self) -> Tensor:
        return self.values.float()


def saving(module: nn.Module, dtype: str | None) -> AbstractContextManager:
    """What a module's forward pass runs in, so that backward keeps maps in fewer bytes.

    The forward pass is as without; gradients are those of rounded maps. Weights are kept as they are;
    copies of them, which mixed precision makes, count as maps.

    Args:
        module: whose weights these are.
        dtype: ``bf16``: float32 maps in half the bytes; ``int8``: all maps in little more than one byte a
            value; None: as they are.
    """
    if dtype is None or not torch.is_grad_enabled():
        return nullcontext()
    kind: type[BF16 | Int8] = BF16 if dtype == 'bf16' else Int8
    # The storage's Python object lives exactly as long as the storage, and fake tensors have one too.
    weights = {id(p.untyped_storage()) for p in module.parameters()}

    def pack(x: Tensor) -> Tensor | BF16 | Int8:
        storage = x.untyped_storage()
        # Of a few values seen as many a copy would add bytes.
        fewer = x.dtype in kind.narrows and kind.bytes_of(x) < storage.nbytes()
        rounds = fewer and x.ndim > 1 and id(storage) not in weights
        return kind.of(x) if rounds else x.detach()

    def unpack(packed: Tensor | BF16 | Int8) -> Tensor:
        return packed if isinstance(packed, Tensor) else packed.restored()

    return saved_tensors_hooks(pack, unpack)
