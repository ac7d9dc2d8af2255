"""Data samples of mmdet and mmseg as plain types and tensors, which load without running any code."""

from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement


def to_plain(value: Any) -> Any:
    """A data sample, or anything inside one, as dicts, lists, tensors and plain values."""
    if isinstance(value, BaseDataElement):
        return dict(
            element=type(value).__name__,
            metainfo=to_plain(dict(value.metainfo_items())),
            data={key: to_plain(part) for key, part in value.items()},
        )
    if hasattr(value, 'tensor'):  # boxes
        return value.tensor
    if isinstance(value, dict):
        return {key: to_plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(to_plain(part) for part in value)
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return value


def from_plain(plain: dict) -> BaseDataElement:
    """The data sample that :func:`to_plain` was given."""
    element = _element(plain['element'])(metainfo=plain['metainfo'])
    for key, part in plain['data'].items():
        whole = isinstance(part, dict) and 'element' in part
        setattr(element, key, from_plain(part) if whole else part)
    return element


def _element(name: str) -> type[BaseDataElement]:
    from mmengine import structures

    if hasattr(structures, name):
        return getattr(structures, name)
    if name == 'SegDataSample':
        from mmseg.structures import SegDataSample

        return SegDataSample
    from mmdet.structures import DetDataSample

    return DetDataSample


def as_half(x: torch.Tensor) -> torch.Tensor:
    """In 16 bits: half of the file."""
    return x.detach().to('cpu', torch.float16).contiguous()
