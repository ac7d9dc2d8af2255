"""The precision that frozen weights are kept in, and the proof that they are those of the file."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from mmest.backbones.eight_bits import (
    Packed,
    can_be_packed,
    keep_state_dicts_unpacked,
    pack,
    pack_in_place,
    packed_in,
    unpack,
    unpack_in_place,
    unpacking,
)
from mmest.checkpoints.compiled_names import plain_name
from mmest.checkpoints.digests import digest, digests
from mmest.mixed_precision import operators_in_fp32

#: What ``frozen_dtype`` may be, and how it is called in a sentence.
PRECISIONS = {None: 'float32', 'bf16': 'bfloat16', 'int8': '8 bits'}


class FrozenPrecision:
    """Keeps the matrices, kernels and tables of a frozen backbone in less than float32.

    In bfloat16 they take half the bytes. In 8 bits matrices and kernels take a quarter
    (:mod:`mmest.backbones.eight_bits`), and are made bfloat16 one by one as they are used; the rest is in bfloat16.
    Vectors (biases, scales of norms) and buffers stay in float32. The backbone then runs as it does in mixed precision,
    whatever the rest of the model does. A digest is that of the float32 tensor that the file gave, as long as the
    rounded one has not changed a bit: fingerprints do not depend on the precision.

    Args:
        dtype: ``bf16``, ``int8``, or None: as the file has them.

    Raises:
        ValueError: there is no such precision.
    """

    def __init__(self, dtype: str | None) -> None:
        if dtype not in PRECISIONS:
            raise ValueError(f"frozen_dtype should be None, 'bf16' or 'int8', but it is {dtype!r}.")
        self.dtype = dtype
        self._packed: list[Packed] | None = None
        self._rounded: list[tuple[nn.Module, str]] = []  # parameters in bfloat16 that were in float32
        self._of_file: dict[str, dict[str, str]] = {}  # by plain name: by digest of what is kept, that of the file's
        if dtype:
            operators_in_fp32()

    def watch(self, backbone: nn.Module) -> None:
        """Once, before :meth:`narrow`: state dicts of the backbone have values, whatever keeps them."""
        if self.dtype == 'int8':
            keep_state_dicts_unpacked(backbone)

    @property
    def waits(self) -> bool:
        """Whether weights stay in float32 until the backbone runs: mmengine takes the mean of every parameter while it
        initialises a model, which whole numbers do not have.
        """
        return self.dtype == 'int8' and self._packed is None

    def narrow(self, backbone: nn.Module) -> None:
        """Round what is kept in less than float32, in place."""
        for owner, name, kept in list(self._narrow_in(backbone)):
            if kept == 'int8':
                pack_in_place(owner, name)
            else:
                p = owner.get_parameter(name)
                p.data = p.data.bfloat16()
                self._rounded.append((owner, name))
        self._packed = list(packed_in(backbone)) if self.dtype == 'int8' else None

    def _narrow_in(self, backbone: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
        """(module, name in it, precision) of every frozen parameter in float32 that is kept in less."""
        places = Counter(id(p) for _, p in backbone.named_parameters(remove_duplicate=False))
        for owner in backbone.modules() if self.dtype else ():
            for name, p in owner.named_parameters(recurse=False):
                if p.ndim > 1 and p.dtype == torch.float32 and not p.requires_grad:
                    packs = self.dtype == 'int8' and can_be_packed(owner, p) and places[id(p)] == 1
                    yield owner, name, 'int8' if packs else 'bf16'

    def widen(self, backbone: nn.Module) -> None:
        """Give what :meth:`narrow` rounded float32 again, in place, with the values that it has."""
        self._packed = None
        for packed in list(packed_in(backbone)):
            unpack_in_place(packed)
        for owner, name in self._rounded:
            p = owner.get_parameter(name)
            p.data = p.data.float()
        self._rounded = []

    def remember(self, of_file: dict[str, str], kept: Iterable[tuple[str, Tensor]]) -> None:
        """Take down which tensors of a file those that are kept come from, rounded or in part.

        Args:
            of_file: digests of the tensors in float32, by name.
            kept: the same tensors as they are kept.
        """
        for name, tensor in kept:
            if name in of_file:
                self._of_file.setdefault(plain_name(name), {})[digest(tensor)] = of_file[name]

    def remember_rounded(self, of_file: dict[str, str], kept: Iterable[tuple[str, Tensor]]) -> None:
        """:meth:`remember`, where anything is rounded: digests take time."""
        if self.dtype is not None:
            self.remember(of_file, kept)

    def lost(self, backbone: nn.Module, given: Mapping[str, Tensor]) -> list[str]:
        """Names of the frozen tensors whose given values are more than is kept of them, and not those that the file
        gives back.

        Args:
            backbone: as it is kept.
            given: values that are to be loaded into it, by name.
        """
        if self.dtype is None:
            return []
        kept = {id(owner.get_parameter(name)): kept for owner, name, kept in self._narrow_in(backbone)}
        kept |= {id(packed.parameter): 'int8' for packed in packed_in(backbone)}
        lost = []
        for name, p in backbone.named_parameters():
            value = given.get(name)
            if value is None or value.shape != p.shape or p.requires_grad:
                continue
            in_bf16 = p.dtype == torch.bfloat16 or kept.get(id(p)) == 'bf16'
            if not in_bf16 and id(p) not in kept or digest(value) in self._of_file.get(plain_name(name), {}).values():
                continue
            rounded = value.bfloat16() if in_bf16 else unpack(*pack(value))
            if not torch.equal(rounded.to(value.dtype), value):
                lost.append(name)
        return lost

    def digests(self, named: Iterable[tuple[str, Tensor]]) -> dict[str, str]:
        """Digest of each named tensor of the backbone, as the file gave it."""
        return {
            name: self._of_file.get(plain_name(name), {}).get(value, value) for name, value in digests(named).items()
        }

    @contextmanager
    def computing(self, device: torch.device) -> Iterator[None]:
        """What the backbone's forward pass runs in."""
        mixed = torch.autocast(device.type, torch.bfloat16) if self.dtype else nullcontext()
        with mixed, unpacking(self._packed) if self._packed else nullcontext():
            yield

    def handed_over(self, x: Tensor, image: Tensor) -> Tensor:
        """A map of the backbone in the precision that neck and side network work in."""
        if self.dtype is None:
            return x
        kind = image.device.type
        return x.to(torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else image.dtype)
