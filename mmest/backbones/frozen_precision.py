"""The precision that frozen weights are kept in, and the proof that they are those of the file."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from mmest.checkpoints.digests import digest, digests
from mmest.mixed_precision import operators_in_fp32

PRECISIONS = (None, 'bf16')


class FrozenPrecision:
    """Keeps the matrices, kernels and tables of a frozen backbone in bfloat16: half the bytes.

    Vectors (biases, scales of norms) and buffers stay in float32. The backbone then runs as it does in mixed precision,
    whatever the rest of the model does. A digest is that of the float32 tensor that the file gave, as long as the
    rounded one has not changed a bit: fingerprints do not depend on the precision.

    Args:
        dtype: ``bf16``, or None: as the file has them.

    Raises:
        ValueError: there is no such precision.
    """

    def __init__(self, dtype: str | None) -> None:
        if dtype not in PRECISIONS:
            raise ValueError(f"frozen_dtype should be None or 'bf16', but it is {dtype!r}.")
        self.dtype = dtype
        self._of_file: dict[str, tuple[str, str]] = {}  # digests of the rounded tensor and of that of the file, by name
        if dtype:
            operators_in_fp32()

    def narrow(self, backbone: nn.Module) -> None:
        """Round what is kept in less than float32, in place."""
        if self.dtype is None:
            return
        for p in backbone.parameters():
            if p.ndim > 1 and p.dtype == torch.float32 and not p.requires_grad:
                p.data = p.data.bfloat16()

    def widen(self, backbone: nn.Module) -> None:
        """Give all of it float32 again, in place, with the values that it has."""
        for p in backbone.parameters():
            if p.dtype == torch.bfloat16 and not p.requires_grad:
                p.data = p.data.float()

    def remember(self, of_file: dict[str, str], rounded: Iterable[tuple[str, Tensor]]) -> None:
        """Take down which tensors of a file the rounded ones come from.

        Args:
            of_file: digests of the tensors in float32, by name.
            rounded: the same tensors as they are kept.
        """
        self._of_file = {
            name: (digest(tensor), of_file[name])
            for name, tensor in rounded
            if name in of_file and tensor.dtype == torch.bfloat16
        }

    def lost(self, named: Iterable[tuple[str, Tensor]], given: Mapping[str, Tensor]) -> list[str]:
        """Names of the tensors whose given values are more than bfloat16 holds, and not those that the file gives back.

        Args:
            named: the tensors as they are kept.
            given: values that are to be loaded into them, by the same names.
        """
        rounded = [name for name, tensor in named if tensor.dtype == torch.bfloat16 and name in given]
        return [
            name
            for name in rounded
            if not torch.equal(given[name].bfloat16().to(given[name].dtype), given[name])
            and self._of_file.get(name, ('', ''))[1] != digest(given[name])
        ]

    def digests(self, named: Iterable[tuple[str, Tensor]]) -> dict[str, str]:
        """Digest of each named tensor of the backbone, as the file gave it."""
        found = digests(named)
        return {
            name: self._of_file[name][1] if self._of_file.get(name, ('',))[0] == value else value
            for name, value in found.items()
        }

    def computing(self, device: torch.device) -> AbstractContextManager:
        """What the backbone's forward pass runs in."""
        return torch.autocast(device.type, torch.bfloat16) if self.dtype else nullcontext()

    def handed_over(self, x: Tensor, image: Tensor) -> Tensor:
        """A map of the backbone in the precision that neck and side network work in."""
        if self.dtype is None:
            return x
        kind = image.device.type
        return x.to(torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else image.dtype)
