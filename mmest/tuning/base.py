"""What a tuning method is."""
from typing import Iterator, List, Mapping, Sequence

from torch import Tensor, nn

from mmest.backbones.anatomy import Block
from mmest.backbones.taps import Tap


class TuningMethod(nn.Module):
    """Says what of a backbone trains, and adds what trains beside or inside it.

    A subclass is built with the backbone that it will tune, whose parameters it must neither replace nor rename. Its own
    modules are its children, so their checkpoint keys start with ``method.``.

    Args:
        backbone: the backbone to tune, not frozen yet.
        lr_mult: factor on the learning rate of all that this method trains in or beside the backbone.
    """

    #: The blocks whose outputs ``forward`` wants to see, by index and ascending; empty for methods that read no taps.
    tapped_blocks: Mapping[int, Block] = {}

    def __init__(self, backbone: nn.Module, lr_mult: float = 1.0) -> None:
        super().__init__()
        self.lr_mult = lr_mult

    def trained_modules(self, backbone: nn.Module) -> List[nn.Module]:
        """The modules of the backbone that train as they are: parameters, buffers and training mode."""
        return []

    def trained_parameters(self, backbone: nn.Module) -> Iterator[nn.Parameter]:
        """The parameters of the backbone that train."""
        for module in self.trained_modules(backbone):
            yield from module.parameters()

    def init_weights(self) -> None:
        """Give the method's own modules their starting values. Called after the backbone has its weights."""

    def forward(self, features: Sequence[Tensor], taps: Sequence[Tap]) -> Sequence[Tensor]:
        """Turn the backbone's outputs (B×C×H×W each) into maps of the same shapes."""
        return features
