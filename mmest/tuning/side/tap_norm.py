"""Each channel of a frozen backbone's tap by its own mean and deviation."""

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn

MOMENTUM, EPS = 0.1, 1e-5


class TapNorm(nn.Module):
    """Batch normalisation of a tap, without gain and bias: by the statistics of a batch in training, by their running
    means else.

    Several processes that train together norm by the statistics of all of their images, as one process with all of them
    would. No gradient passes a tap, so an exchange of means is all that it takes; what converts a model's batch norms
    to synchronised ones leaves this one alone.

    Args:
        channels: C of the tap.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer('running_mean', torch.zeros(channels))
        self.register_buffer('running_var', torch.ones(channels))

    def forward(self, h: Tensor) -> Tensor:
        """B×H×W×C to the same."""
        x = h.flatten(0, 2)
        if not self.training or get_world_size() == 1:
            running = self.running_mean, self.running_var
            return F.batch_norm(x, *running, training=self.training, momentum=MOMENTUM, eps=EPS).view(h.shape)
        # Squares of distances, not of values: a channel may be large and change little.
        sums = torch.cat([x.sum(0, dtype=torch.float32), x.new_tensor([len(x)], dtype=torch.float32)])
        all_reduce(sums)
        count = sums[-1]
        mean = sums[:-1] / count
        squares = (x - mean).square().sum(0)
        all_reduce(squares)
        variance = squares / count
        self.running_mean.lerp_(mean, MOMENTUM)
        self.running_var.lerp_(variance * count / (count - 1), MOMENTUM)
        return ((x - mean) * (variance + EPS).rsqrt()).to(h.dtype).view(h.shape)
