"""What more steps give, and what they take in time."""

import re
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mmest.measure.memory.compare import FULL

from .results import Result
from .rows import in_order, trained_otherwise
from .scores import scores
from .shares import mean_shares
from .table import Column, Spread, Table

#: How `benchmarks/grids/longer.py` calls longer trainings; one of the usual length has no variant.
_LONGER = re.compile(r'for ([\d.]+) times the steps')
#: What counts as the time of full fine-tuning: records of times differ by a few per cent from run to run.
MOST_TIME = 1.1


class Length(NamedTuple):
    """A method trained for some times the usual steps, and the share of full fine-tuning's time that this takes."""

    method: str
    steps: float
    time: float | None
    score: Spread | None


def more_steps(runs: Sequence[Result], results: Sequence[Result]) -> Iterator[Table]:
    """A table of each data set and model where methods were trained for longer, full fine-tuning with them.

    Args:
        runs: the accuracies.
        results: that have the times of a step.
    """
    for ground, lengths in _grounds(runs, results):
        yield Table(
            ground,
            [
                Column('method'),
                Column('steps', '×{:g}'),
                Column('time of full', '{:.0%}'),
                Column('score', '{:.1f}', True),
            ],
            [list(length) for length in lengths],
        )


def equal_time(runs: Sequence[Result], results: Sequence[Result]) -> tuple[Table, str]:
    """The methods that were trained for longer, each for as many steps as take no more time than full fine-tuning at
    the usual length, which is :data:`MOST_TIME` of its time at most.

    Args:
        runs: the accuracies.
        results: that have the times of a step.

    Returns:
        The table, and a sentence with the means against full fine-tuning; without a row there is no sentence.
    """
    rows, gains = [], {}
    for ground, lengths in _grounds(runs, results):
        full = next(length.score for length in lengths if length.method == FULL)
        if not isinstance(full, Spread):
            continue
        fit = {x.method: x for x in lengths if x.method != FULL and x.time is not None and x.time <= MOST_TIME}
        for x in fit.values():  # the longest of each, as lengths rise
            if isinstance(x.score, Spread):
                gain = x.score.mean - full.mean
                rows.append([ground, *x, full, gain])
                gains.setdefault(x.method, []).append(gain)
    columns = [Column(''), Column('method'), Column('steps', '×{:g}'), Column('time of full', '{:.0%}')]
    columns += [Column('score', '{:.1f}'), Column(FULL, '{:.1f}'), Column('difference', '{:+.1f}')]
    means = ', '.join(f'{m} {statistics.mean(gains[m]):+.1f} over {len(gains[m])}' for m in in_order(gains))
    return Table('', columns, rows), f'Against full fine-tuning, mean over settings: {means}.' if rows else ''


def _grounds(runs: Sequence[Result], results: Sequence[Result]) -> Iterator[tuple[str, list[Length]]]:
    """What each data set and model is called, and all lengths there: by method, shortest first."""
    for dataset, model, mine, by_method in trained_otherwise(runs, _LONGER):
        times_of_full = _times(results, dataset, model, [FULL, *by_method])
        lengths = [
            Length(method, steps, share * steps if share else None, scores(mine, name))
            for method in in_order({FULL, *by_method})
            for share in [times_of_full.get(method)]
            for steps in (1, *sorted(by_method.get(method, ())))
            for name in [method if steps == 1 else f'{method}, for {steps:g} times the steps']
        ]
        yield f'{dataset}, {model}', lengths


def _times(results: Sequence[Result], dataset: str, model: str, methods: Sequence[str]) -> dict[str, float]:
    """Of full fine-tuning's time for a step on this data set; where none was timed there, with the same model on
    another: what a step takes hangs on the model, and hardly on what the pictures show.
    """
    here = mean_shares([r for r in results if r.dataset == dataset], 'time', model, methods)
    return here or mean_shares(results, 'time', model, methods)
