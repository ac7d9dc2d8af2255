"""Each channel of a frozen backbone's tap by its own mean and deviation."""

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

EPS = 1e-5


class TapNorm(nn.Module):
    """Batch normalisation of a tap, without gain and bias (Ioffe and Szegedy, ICML 2015).

    In training the statistics are those of the batch, else those of all that was seen in training: a frozen backbone's
    taps do not drift, so there is nothing to forget. A batch of one image is normed by the latter in training too: its
    own would make all images alike.

    Several processes that train together norm by the statistics of all of their images, as one process with all of them
    would. No gradient passes a tap, so an exchange of sums is all that it takes; what converts a model's batch norms
    to synchronised ones leaves this one alone.

    Args:
        channels: C of the tap.
        drifts: whether what comes before the tap trains too. Then the latest batch has a tenth in the statistics at
            least, so that they forget.
    """

    def __init__(self, channels: int, drifts: bool = False) -> None:
        super().__init__()
        self.least_share = 0.1 if drifts else 0.0
        self.register_buffer('running_mean', torch.zeros(channels))
        self.register_buffer('running_var', torch.ones(channels))
        self.register_buffer('num_batches_tracked', torch.tensor(0))

    def forward(self, h: Tensor) -> Tensor:
        """B×H×W×C to the same."""
        x = h.flatten(0, 2)
        if self.training:
            normed, *of_batch = _normed_by_itself(x)
            self._take_in(*of_batch)
        if not self.training or len(h) * get_world_size() == 1:
            normed = F.batch_norm(x, self.running_mean, self.running_var, eps=EPS)
        return normed.view(h.shape)

    def _take_in(self, mean: Tensor, variance: Tensor) -> None:
        """Have the statistics of all batches include those of one more, as if all were one, or with the least share. A
        batch that overflowed in the backbone is left out: it would spoil them for good.
        """
        mean, variance = mean.to(self.running_mean.dtype), variance.to(self.running_var.dtype)
        fine = (mean + variance).isfinite().all()
        mean, variance = torch.where(fine, mean, self.running_mean), torch.where(fine, variance, self.running_var)
        self.num_batches_tracked += fine
        share = (1 / self.num_batches_tracked.clamp(min=1)).clamp(min=self.least_share).to(mean.dtype)
        apart = mean - self.running_mean
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance + (1 - share) * apart.square(), share)


def _normed_by_itself(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Positions×C by the mean and the variance of the positions of all processes, and these, each C."""
    mean, variance = x.new_zeros(2, x.shape[1], dtype=torch.promote_types(x.dtype, torch.float32))
    # The operator, which takes one pass, also tells, but it refuses a single position.
    if get_world_size() == 1 and len(x) > 1:
        normed = F.batch_norm(x, mean, variance, training=True, momentum=1.0, eps=EPS)
        return normed, mean, variance * (1 - 1 / len(x))
    sums = torch.cat([x.sum(0, dtype=mean.dtype), mean.new_tensor([len(x)])])
    _add_those_of_others(sums)
    mean = sums[:-1] / sums[-1]
    # Squares of distances, not of values: a channel may be large and change little.
    variance = (x - mean).square().sum(0)
    _add_those_of_others(variance)
    variance = variance / sums[-1]
    return F.batch_norm(x, mean, variance, eps=EPS), mean, variance


def _add_those_of_others(x: Tensor) -> None:
    """Sum over all processes, in place; not of what has no data, by which one process alone estimates memory."""
    if not (x.is_meta or isinstance(x, FakeTensor)):
        all_reduce(x)
