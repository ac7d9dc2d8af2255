"""Which tuning methods fit into a memory budget, and with which batch and image size."""

import re
from collections.abc import Callable
from typing import NamedTuple

from mmengine.config import Config

from mmest.measure.memory import measure_training_step
from mmest.measure.memory.compare import prepare
from mmest.measure.memory.timeline import Timeline
from mmest.measure.synthetic_batch import synthetic_batch

from .fake_backbone import FakeBackbone
from .fit import Run, StepFit

#: Batches and sizes that run for real: small, but large enough that every level of a detector's pyramid has its
#: proposals, and that BatchNorm behind global pooling has more than one value.
SMALL_RUNS = ((2, (192, 192)), (2, (288, 288)), (3, (192, 192)), (3, (256, 256)))
_SIDE, _LARGEST_SIDE, _LARGEST_BATCH = 32, 4096, 1024
# Guesses by a line before the search goes on by halves.
_LINES = 8
_UNITS = dict(B=1, KB=10**3, MB=10**6, GB=10**9, KIB=2**10, MIB=2**20, GIB=2**30, K=2**10, M=2**20, G=2**30)


class Plan(NamedTuple):
    """What fits of one method.

    Attributes:
        peak: live bytes at the batch and size asked for.
        largest_batch: at that size; 0 if not even one image fits.
        largest_side: of square images at that batch, a multiple of 32; 0 if not even 64 fits.
        error: why the method could not be planned; the rest is None then.
    """

    peak: int | None = None
    largest_batch: int | None = None
    largest_side: int | None = None
    error: str | None = None


def parse_bytes(text: str) -> int:
    """Bytes from a text such as "8GiB" or "24 GB".

    Raises:
        ValueError: it is none.
    """
    found = re.fullmatch(r'\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*', text)
    unit = found and (found.group(2).upper() or 'B')
    if not found or unit not in _UNITS:
        raise ValueError(f'"{text}" is no amount of memory. Write it like 8GiB (2**30 bytes each) or 24GB (10**9).')
    return int(float(found.group(1)) * _UNITS[unit])


def fit_step(cfg: Config, tuning: dict, done: Callable[[], None] = lambda: None) -> StepFit:
    """Measure small training steps of a config under a method, on the CPU, and fit its memory.

    Args:
        cfg: a config of mmdet or mmseg that uses TunedBackbone.
        tuning: config of the method.
        done: called after each step that was measured.
    """
    runs = []
    for batch_size, size in SMALL_RUNS:
        model, optim_wrapper = prepare(cfg, tuning, size)
        timeline = Timeline()
        measure_training_step(model, synthetic_batch(model, size, batch_size), optim_wrapper, timeline)
        runs.append(Run(batch_size, size, timeline))
        done()
    model = prepare(cfg, tuning, SMALL_RUNS[0][1])[0]
    return StepFit(FakeBackbone(model.backbone.train()), runs)


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
    """
    plans = {}
    for name, tuning in tunings.items():
        parts = iter(range(PARTS))

        def advance() -> None:
            if next(parts, None) is not None:
                done(name)

        try:
            step = fit_step(cfg, tuning, advance)
            peak = step.peak(batch_size, size)
            largest_batch = _largest(lambda batch: step.peak(batch, size), budget, 1, _LARGEST_BATCH)
            advance()
            side = _largest(
                lambda units: step.peak(batch_size, (units * _SIDE,) * 2), budget, 2, _LARGEST_SIDE // _SIDE, growth=2
            )
            plans[name] = Plan(peak, largest_batch, side * _SIDE)
        except (ValueError, TypeError):
            raise
        except Exception as error:  # of whatever method and backbone
            plans[name] = Plan(error=f'{type(error).__name__}: {str(error).strip().splitlines()[0]}')
        for _ in parts:
            done(name)
    return plans


def largest_batch_within(cfg: Config, budget: int, size: tuple[int, int], most: int) -> int:
    """The largest batch of a config under its own method, up to ``most``; 0 if not even one image fits.

    Args:
        cfg: a config of mmdet or mmseg that uses TunedBackbone.
        budget: bytes.
        size: height and width of the images.
        most: where the search ends.
    """
    step = fit_step(cfg, cfg.model.backbone.tuning)
    return _largest(lambda batch: step.peak(batch, size), budget, 1, most)


#: How often ``plan`` calls ``done`` for one method.
PARTS = len(SMALL_RUNS) + 2


def _largest(peak: Callable[[int], int], budget: int, low: int, high: int, growth: int = 1) -> int:
    """The largest number from ``low`` to ``high`` whose peak is within the budget, 0 if none.

    Peaks rise with the number's power of ``growth``, nearly in a line, so few of them need to be looked at.
    """
    known = [(low, peak(low))]
    if known[0][1] > budget:
        return 0
    guess = 2 * low
    while low < high:
        guess = min(max(guess, low + 1), high)
        known.append((guess, peak(guess)))
        low, high = (guess, high) if known[-1][1] <= budget else (low, guess - 1)
        if len(known) > _LINES:
            guess = (low + high + 1) // 2
        else:
            (x0, y0), (x1, y1) = ((n**growth, y) for n, y in known[-2:])
            reached = x1 + (budget - y1) * (x1 - x0) / (y1 - y0) if y1 != y0 else high**growth
            guess = int(max(reached, 0) ** (1 / growth))
    return low
