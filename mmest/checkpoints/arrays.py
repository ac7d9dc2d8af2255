"""Weights that were stored as NumPy arrays are weights: torch's ``load_state_dict`` takes tensors alone."""

from collections.abc import MutableMapping
from typing import Any

import numpy as np
import torch

# What mmengine writes beside weights: palettes and logged values, which are read as they were written.
_NO_WEIGHTS = ('meta', 'message_hub')


def arrays_to_tensors(content: Any) -> None:
    """Turn the arrays in the tables of a loaded file into tensors, in place."""
    if not isinstance(content, MutableMapping):
        return
    for name, value in content.items():
        if isinstance(value, np.ndarray) and value.dtype.kind in 'fiub':
            content[name] = torch.from_numpy(value.astype(value.dtype.newbyteorder('='), order='C'))
        elif name not in _NO_WEIGHTS:
            arrays_to_tensors(value)
