"""Adapters in series."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmest.registry import TUNINGS
from mmest.tuning.insertion import InsertedMethod


class Bottleneck(nn.Module):
    """The correction U GELU(D x), zero at the start.

    Args:
        channels: width C of x (…×C).
        hidden: width of the bottleneck.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.down = nn.Linear(channels, hidden)
        self.up = nn.Linear(hidden, channels)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(F.gelu(self.down(x)))


@TUNINGS.register_module()
class Adapter(InsertedMethod):
    """A bottleneck adapter behind every branch: r + U GELU(D r) for the result r of attention and of the MLP, before
    the identity is added (Houlsby et al., 2019, figure 2). In blocks that are one branch, as a ResNet's, behind that
    one.

    The source starts D and U near zero; U starts at zero here, so that training begins at the pretrained features.

    Args:
        backbone: the backbone to tune.
        hidden: width of the bottleneck.
        lr_mult: factor on the learning rate of the adapters.
    """

    acts_on = 'behind attention and MLP'
    source = 'Houlsby et al., ICML 2019'

    def __init__(self, backbone: nn.Module, hidden: int = 64, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, lr_mult)
        for branch in self.branches:
            self.in_series(backbone, branch, Bottleneck(branch.channels, hidden))
