"""Files of the safetensors format, in which timm and Hugging Face hand out weights: names, and bytes. Nothing in them
runs. The format is fixed and shorter to read than to install for.
"""

import json
from pathlib import Path

import torch
from torch import Tensor

_KINDS = dict(
    F64='float64',
    F32='float32',
    F16='float16',
    BF16='bfloat16',
    F8_E4M3='float8_e4m3fn',
    F8_E5M2='float8_e5m2',
    C64='complex64',
    I64='int64',
    I32='int32',
    I16='int16',
    I8='int8',
    U64='uint64',
    U32='uint32',
    U16='uint16',
    U8='uint8',
    BOOL='bool',
)


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as one does: the length of a table, and the table in JSON."""
    with path.open('rb') as file:
        size, start = file.read(8), file.read(2)
    return start == b'{"' and int.from_bytes(size, 'little') < path.stat().st_size


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name.

    Raises:
        KeyError, ValueError, RuntimeError: it is cut off or damaged.
    """
    with path.open('rb') as file:
        table = json.loads(file.read(int.from_bytes(file.read(8), 'little')))
        content = bytearray(file.read())
    table.pop('__metadata__', None)
    if max((entry['data_offsets'][1] for entry in table.values()), default=0) != len(content):
        raise ValueError('its end is not where its table says')
    found = {}
    for name, entry in table.items():
        start, end = entry['data_offsets']
        part = content[start:end]  # a copy, which begins where numbers of any size may
        kind = getattr(torch, _KINDS[entry['dtype']])
        found[name] = (torch.frombuffer(part, dtype=kind) if part else torch.empty(0, dtype=kind)).reshape(
            entry['shape']
        )
    return found
