"""Each channel of a frozen backbone's tap by its own mean and deviation."""

import torch
import torch.nn.functional as F
from mmengine.dist import get_world_size
from torch import Tensor

from mmest.tuning.side.seen import SeenStatistics, statistics

EPS = 1e-5


class TapNorm(SeenStatistics):
    """Batch normalisation of a tap, without gain and bias (Ioffe and Szegedy, ICML 2015).

    In training the statistics are those of the batch, else those of all that was seen in training. A batch of one image
    is normed by the latter in training too: its own would make all images alike.

    Several processes that train together norm by the statistics of all of their images, as one process with all of them
    would. No gradient passes a tap, so an exchange of sums is all that it takes; what converts a model's batch norms
    to synchronised ones leaves this one alone.
    """

    def forward(self, h: Tensor) -> Tensor:
        """B×H×W×C to the same."""
        x = h.flatten(0, 2)
        by_all = not self.training or len(h) * get_world_size() == 1
        if self.training:
            normed, *of_batch = _normed_by_itself(x)
            self.take_in(*of_batch, now=by_all)
        if by_all:
            normed = F.batch_norm(x, self.running_mean, self.running_var, eps=EPS)
        return normed.view(h.shape)


def _normed_by_itself(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Positions×C by the mean and the variance of the positions of all processes, and these, each C."""
    # The operator, which takes one pass, also tells, but it refuses a single position.
    if get_world_size() == 1 and len(x) > 1:
        mean, variance = x.new_zeros(2, x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32))
        normed = F.batch_norm(x, mean, variance, training=True, momentum=1.0, eps=EPS)
        return normed, mean, variance * (1 - 1 / len(x))
    mean, variance = statistics(x, 1)
    return F.batch_norm(x, mean, variance, eps=EPS), mean, variance
