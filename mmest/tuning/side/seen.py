"""Statistics of what a backbone gives, over all that was seen in training."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor

_STATISTICS = ('running_mean', 'running_var')


class SeenStatistics(nn.Module):
    """Mean and variance of each channel over all batches that were seen in training, as if these were one: what a
    frozen backbone gives does not drift, so there is nothing to forget.

    Args:
        channels: C of what is seen.
        drifts: whether what is in front of it trains too. Then the latest batch has a tenth in the statistics at least,
            so that they forget.
    """

    def __init__(self, channels: int, drifts: bool = False) -> None:
        super().__init__()
        self.least_share = 0.1 if drifts else 0.0
        self.register_buffer('running_mean', torch.zeros(channels))
        self.register_buffer('running_var', torch.ones(channels))
        self.register_buffer('num_batches_tracked', torch.tensor(0))
        self._later: list[_Seen] | None = None

    def take_in(self, mean: Tensor, variance: Tensor, now: bool = False) -> None:
        """Have the statistics include those of a batch, each C: at once, or at the end of
        :func:`taken_in_at_once` where that is on and it need not be ``now``.
        """
        if now or self._later is None:
            _take_in([(self, mean, variance)])
        else:
            self._later.append((self, mean, variance))


class Deviation(SeenStatistics):
    """The deviation of maps over all batches that were seen before, as one number: the root of the mean of their
    channels' variances. 1 at first, and at least.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps B×C×H×W to a scalar."""
        deviation = self.running_var.mean().sqrt().clamp(min=1)
        if self.training:
            with torch.no_grad():
                self.take_in(*statistics(x, 1))
        return deviation


_Seen = tuple[SeenStatistics, Tensor, Tensor]


@contextmanager
def taken_in_at_once(norms: Sequence[SeenStatistics]) -> Iterator[None]:
    """Have what is seen inside change the statistics at the end, all at once.

    On a card an operator on a few numbers takes as long to start as one on many, and this takes twenty for each.
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
    """Have statistics include mean and variance of one batch more each, as if all batches were one, or with the least
    share. A batch that overflowed at one of them is left out: it would spoil its statistics for good.
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


def statistics(x: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel of a batch, which is dimension ``channels``, over the images of all processes.

    At least in float32.
    """
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    others = [i for i in range(x.ndim) if i != channels]
    variance, mean = torch.var_mean(x, others, correction=0)
    if get_world_size() == 1:
        return mean, variance
    count = x.numel() // x.shape[channels]
    sums = torch.cat([mean * count, mean.new_tensor([count])])
    _add_those_of_others(sums)
    of_all = sums[:-1] / sums[-1]
    # Squares of distances, not of values: a channel may be large and change little.
    variance = (variance + (mean - of_all).square()) * count
    _add_those_of_others(variance)
    return of_all, variance / sums[-1]


def _add_those_of_others(x: Tensor) -> None:
    """Sum over all processes, in place; not of what has no data, by which one process alone estimates memory."""
    if not (x.is_meta or isinstance(x, FakeTensor)):
        all_reduce(x)
