"""Where a graph runs."""

import logging
from types import ModuleType
from typing import Any

import torch
from mmengine.logging import print_log

from .installed import onnxruntime

#: The provider of onnxruntime that runs graphs on a card.
CARD = 'CUDAExecutionProvider'
_INSTALL = 'pip uninstall onnxruntime, then pip install onnxruntime-gpu'


def providers(runtime: ModuleType, device: str) -> list[tuple[str, dict[str, Any]]]:
    """What onnxruntime is asked to run a graph by, the first choice first.

    Args:
        runtime: the package.
        device: such as ``cpu`` or ``cuda:0``.

    Raises:
        ValueError: it runs on no such device as it is installed.
    """
    wanted, cpu = torch.device(device), ('CPUExecutionProvider', {})
    if wanted.type == 'cpu':
        return [cpu]
    if wanted.type != 'cuda':
        raise ValueError(f'An ONNX graph runs on cpu, cuda or one card such as cuda:0, but --device is "{device}".')
    if CARD not in runtime.get_available_providers():
        raise ValueError(
            f'--device {device} needs onnxruntime-gpu for an ONNX graph, and the onnxruntime that is installed runs on '
            f'the CPU alone: {_INSTALL}; or pass --device cpu.'
        )
    return [(CARD, dict(device_id=wanted.index or 0)), cpu]


def card_or_cpu(device: str) -> str:
    """The device where nobody named one: that which torch would take, if onnxruntime can too; that it cannot is said.

    Raises:
        ValueError: onnxruntime is not installed.
    """
    if not device.startswith('cuda') or CARD in onnxruntime().get_available_providers():
        return device
    print_log(
        f'The onnxruntime that is installed runs on the CPU alone. To take {device}: {_INSTALL}.',
        'current',
        logging.WARNING,
    )
    return 'cpu'
