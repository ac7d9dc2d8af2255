"""Proof that frozen tensors are what they were: digests of their bytes."""

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor


def digest(tensor: Tensor) -> str:
    """SHA-256 (first 16 hex digits) of a tensor's dtype, shape and bytes; the same on every device."""
    tensor = tensor.detach().contiguous().cpu()
    found = hashlib.sha256(f'{tensor.dtype}{tuple(tensor.shape)}'.encode())
    if tensor.numel():
        found.update(tensor.reshape(-1).view(torch.uint8).numpy())  # a table of embeddings may take gigabytes
    return found.hexdigest()[:16]


def digests(named: Iterable[tuple[str, Tensor]]) -> dict[str, str]:
    """Digest of each named tensor."""
    return {name: digest(tensor) for name, tensor in named}


def fingerprint(named_digests: dict[str, str]) -> str:
    """One digest over many, independent of their order."""
    lines = '\n'.join(f'{name} {value}' for name, value in sorted(named_digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Names whose tensor changed, appeared or vanished."""
    return [name for name in sorted({**before, **after}) if before.get(name) != after.get(name)]
