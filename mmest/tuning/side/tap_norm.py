"""Each channel of a frozen backbone's tap by its own mean and deviation."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

EPS = 1e-5
_STATISTICS = ('running_mean', 'running_var')


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
        self._later: list[_Seen] | None = None

    def forward(self, h: Tensor) -> Tensor:
        """B×H×W×C to the same."""
        x = h.flatten(0, 2)
        by_all = not self.training or len(h) * get_world_size() == 1
        if self.training:
            normed, *of_batch = _normed_by_itself(x)
            if by_all or self._later is None:
                _take_in([(self, *of_batch)])
            else:
                self._later.append((self, *of_batch))
        if by_all:
            normed = F.batch_norm(x, self.running_mean, self.running_var, eps=EPS)
        return normed.view(h.shape)


_Seen = tuple[TapNorm, Tensor, Tensor]


@contextmanager
def taken_in_at_once(norms: Sequence[TapNorm]) -> Iterator[None]:
    """Have what norms see inside change their statistics at the end, all at once.

    On a card an operator on a few numbers takes as long to start as one on many, and this takes twenty for each norm.
    """
    seen: list[_Seen] = []
    for norm in norms:
        norm._later = seen
    try:
        yield
    finally:
        for norm in norms:
            norm._later = None
    if seen:
        _take_in(seen)


def _take_in(seen: Sequence[_Seen]) -> None:
    """Have the statistics of norms include mean and variance of one batch more each, as if all batches were one, or
    with the least share. A batch that overflowed at one of them is left out: it would spoil its statistics for good.
    """
    norms, means, variances = zip(*seen)
    old_mean, old_variance = (torch.cat([norm.get_buffer(name) for norm in norms]) for name in _STATISTICS)
    mean, variance = torch.cat(means).to(old_mean.dtype), torch.cat(variances).to(old_variance.dtype)
    fine = (mean + variance).isfinite().all()
    mean, variance = torch.where(fine, mean, old_mean), torch.where(fine, variance, old_variance)
    for norm in norms:
        norm.num_batches_tracked += fine
    counts = torch.stack([norm.num_batches_tracked for norm in norms])
    shares = (1 / counts.clamp(min=1)).clamp(min=max(norm.least_share for norm in norms)).to(mean.dtype)
    sizes = [len(one) for one in means]
    share = torch.cat([one.expand(size) for one, size in zip(shares.unbind(), sizes)])
    variance = variance + (1 - share) * (mean - old_mean).square()
    for name, old, new in zip(_STATISTICS, (old_mean, old_variance), (mean, variance)):
        values = old.lerp(new, share).split(sizes)
        torch._foreach_copy_([norm.get_buffer(name) for norm in norms], values)


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
