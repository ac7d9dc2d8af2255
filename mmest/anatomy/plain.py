"""Layers that compute what torch's own do."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

# SyncBatchNorm is a batch norm too, with a forward of its own.
_KINDS = (nn.Linear, nn.Conv2d, nn.SyncBatchNorm, _BatchNorm, nn.LayerNorm, nn.GroupNorm)


def is_plain(layer: nn.Module) -> bool:
    """Whether a layer runs torch's own code. One of a class of its own may add an activation, pad its input or norm its
    weight.
    """
    kind = next((kind for kind in _KINDS if isinstance(layer, kind)), None)
    return kind is not None and all(
        getattr(type(layer), name, None) is getattr(kind, name, None) for name in ('forward', '_conv_forward')
    )
