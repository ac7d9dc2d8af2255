"""Devices: whether one is there, that it is done, and that its memory did not suffice."""

import os

import torch

_NO_MEMORY = ('out of memory', "can't allocate memory", 'cannot allocate memory', 'not enough memory')
# How cuBLAS, cuDNN and the like say it, which take memory of a card beside torch.
_NO_MEMORY_OF_A_CARD = ('_alloc_failed', '_device_allocation_failed')


def usable_device(name: str | None = None) -> str:
    """The name of a device that torch can use.

    Args:
        name: such as ``cpu`` or ``cuda:0`` (default: a GPU if there is one; of torchrun's processes each has its own).

    Raises:
        ValueError: there is no such device.
    """
    if name is None:
        if not torch.cuda.is_available():
            return 'cpu'
        return f'cuda:{int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count()}'
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f'--device should be cpu, cuda or one card such as cuda:0, but it is "{name}".') from None
    if device.type == 'cuda' and not torch.cuda.is_available():
        raise ValueError(f'--device {name} needs a CUDA device, and torch finds none. Pass --device cpu.')
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f'--device {name} is not there: this machine has {torch.cuda.device_count()} CUDA devices.')
    return name


def synchronise() -> None:
    """Wait until a GPU, if there is one, has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def memory_shortage(error: BaseException) -> str | None:
    """What had too little memory, as the beginning of a sentence; None if the error is another one."""
    text = str(error).lower()
    said = isinstance(error, RuntimeError) and any(sign in text for sign in (*_NO_MEMORY, *_NO_MEMORY_OF_A_CARD))
    if not said and not isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return None
    if any(sign in text for sign in ('cuda', *_NO_MEMORY_OF_A_CARD)) and torch.cuda.is_available():
        card = torch.cuda.get_device_properties(torch.cuda.current_device())
        return f'The {card.total_memory / 2**30:.0f} GiB of {card.name} did not suffice'
    return 'The memory of this machine did not suffice'
