"""Each channel of a frozen backbone's tap by its own mean and deviation."""

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn


class TapNorm(nn.BatchNorm1d):
    """Batch normalisation of a tap, without gain and bias: by the statistics of a batch in training, by their running
    means else.

    Several processes that train together norm by the statistics of all of their images, as one process with all of them
    would. No gradient passes a tap, so an exchange of means is all that it takes.

    Args:
        channels: C of the tap.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, affine=False)

    def forward(self, h: Tensor) -> Tensor:
        """B×H×W×C to the same."""
        x = h.flatten(0, 2)
        if not self.training or get_world_size() == 1:
            return super().forward(x).view(h.shape)
        moments = torch.stack([x.float().mean(0), x.float().square().mean(0)])
        all_reduce(moments, op='mean')
        mean, count = moments[0], len(x) * get_world_size()
        variance = moments[1] - mean.square()
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        return ((x - mean) * (variance + self.eps).rsqrt()).to(h.dtype).view(h.shape)
