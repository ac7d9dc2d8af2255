"""Which tuning methods fit into a memory budget, and with which batch and image size."""

import bisect
import re
from collections.abc import Callable
from typing import NamedTuple

from mmengine.config import Config

from mmest.measure.batch_of_one import NEEDS_TWO

from .fit import StepFit
from .head import SMALL_RUNS
from .planner import Planner

_SIDE = 32
#: Where the search ends: what reaches these may be larger.
LARGEST_SIDE, LARGEST_BATCH = 4096, 1024
# Looks where an estimate leads before the search goes on by halves.
_ESTIMATES = 8
_UNITS = dict(B=1, KB=10**3, MB=10**6, GB=10**9, KIB=2**10, MIB=2**20, GIB=2**30, K=2**10, M=2**20, G=2**30)
_LEAST_BARE = 2**20  # bytes that no unit has to be written for


class Plan(NamedTuple):
    """What fits of one method.

    Attributes:
        peak: live bytes at the batch and size asked for.
        largest_batch: at that size, up to :data:`LARGEST_BATCH`; 0 if not even the smallest that the head takes fits.
        largest_side: of square images at that batch, a multiple of 32 up to :data:`LARGEST_SIDE`; 0 if not even 64
            fits.
        error: why the method could not be planned; the rest is None then.
    """

    peak: int | None = None
    largest_batch: int | None = None
    largest_side: int | None = None
    error: str | None = None


def parse_bytes(text: str) -> int:
    """Bytes from a text such as "8GiB" or "24 GB".

    Raises:
        ValueError: it is none, or so few without a unit that another one is meant.
    """
    found = re.fullmatch(r'\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*', text)
    unit = found and (found.group(2).upper() or 'B')
    if not found or unit not in _UNITS:
        raise ValueError(f'"{text}" is no amount of memory. Write it like 8GiB (2**30 bytes each) or 24GB (10**9).')
    amount = float(found.group(1)) * _UNITS[unit]
    if not found.group(2) and amount < _LEAST_BARE:
        raise ValueError(
            f'"{text}" without a unit is a number of bytes. Write {found.group(1)}GiB, or the unit you mean.'
        )
    return int(amount)


def plan(
    cfg: Config,
    tunings: dict[str, dict],
    budget: int,
    size: tuple[int, int],
    batch_size: int,
    done: Callable[[str], None] = lambda name: None,
) -> dict[str, Plan]:
    """Plan each of several methods.

    Args:
        cfg: a config of mmdet or mmseg that uses TunedBackbone.
        tunings: names, and the configs of the methods.
        budget: bytes.
        size: height and width to find the largest batch for.
        batch_size: to find the largest size for.
        done: called with the name of the method after each part of its work, ``PARTS`` times per method.

    Raises:
        ValueError, TypeError: of the first method, where none can be planned: the config is no good.
    """
    planner, plans, refused = Planner(cfg), {}, []
    for name, tuning in tunings.items():
        parts = iter(range(PARTS))

        def advance() -> None:
            if next(parts, None) is not None:
                done(name)

        try:
            step = planner.under(tuning, advance)
            if batch_size < step.least_batch:
                raise ValueError(NEEDS_TWO)
            peak = step.peak(batch_size, size)
            advance()
            largest_batch = _largest_batch(step, budget, size, LARGEST_BATCH)
            side = _largest(
                lambda units: step.peak(batch_size, (units * _SIDE,) * 2),
                lambda units: step.estimate(batch_size, (units * _SIDE,) * 2),
                budget,
                2,
                LARGEST_SIDE // _SIDE,
            )
            plans[name] = Plan(peak, largest_batch, side * _SIDE)
        except (ValueError, TypeError) as error:  # the method does not suit the backbone, unless it is the config
            plans[name] = Plan(error=str(error))
            refused.append(error)
        except Exception as error:  # of whatever method and backbone
            plans[name] = Plan(error=f'{type(error).__name__}: {str(error).strip().splitlines()[0]}')
        for _ in parts:
            done(name)
    if refused and len(refused) == len(plans):
        raise refused[0]
    return plans


def largest_batch_within(cfg: Config, budget: int, size: tuple[int, int], most: int) -> int:
    """The largest batch of a config under its own method, up to ``most``; 0 if not even the smallest that the
    head can take fits.

    Args:
        cfg: a config of mmdet or mmseg that uses TunedBackbone.
        budget: bytes.
        size: height and width of the images.
        most: where the search ends.
    """
    return _largest_batch(Planner(cfg).under(cfg.model.backbone.tuning), budget, size, most)


#: How often ``plan`` calls ``done`` for one method.
PARTS = len(SMALL_RUNS) + 3


def _largest_batch(step: StepFit, budget: int, size: tuple[int, int], most: int) -> int:
    def peak(batch: int) -> int:
        return step.peak(batch, size)

    return _largest(peak, peak, budget, step.least_batch, most)


def _largest(peak: Callable[[int], int], estimate: Callable[[int], int], budget: int, low: int, high: int) -> int:
    """The largest number from ``low`` to ``high`` whose peak is within the budget, 0 if none.

    Args:
        peak: of a number; it rises.
        estimate: of the peak, good near numbers that have been looked at: it says where to look next.
        budget: bytes.
        low: the smallest number.
        high: the largest.
    """
    fits, looks = low - 1, 0
    while fits < high:
        left = range(fits + 1, high + 1)
        # An estimate that leads nowhere is left alone.
        place = bisect.bisect_right(left, budget, key=estimate) - 1 if looks < _ESTIMATES else len(left) // 2
        guess, looks = left[max(place, 0)], looks + 1
        fits, high = (guess, high) if peak(guess) <= budget else (fits, guess - 1)
    return fits if fits >= low else 0
