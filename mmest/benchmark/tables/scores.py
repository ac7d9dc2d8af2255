"""Scores of methods over seeds."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from mmest.benchmark.metrics import in_percent, main_name

from .results import Result
from .rows import methods_in_order, unique, without_variants
from .table import FAILED, Spread


def metric_of(runs: Iterable[Result]) -> str | None:
    """The main metric of all trainings on one ground, with its prefix; None where none was scored."""
    names = unique(name for run in runs if run.kind == 'accuracy' and not run.error for name in run.values['metrics'])
    return main_name(names) if names else None


def scores(results: Sequence[Result], method: str, metric: str | None = None) -> Any:
    """A metric, by default the main one of the results, which are of one ground, over the seeds of a method, in per
    cent; FAILED if every run failed, None where no run has this metric: COCO's is not there where nothing was found.
    """
    runs = [result for result in results if result.kind == 'accuracy' and result.method == method]
    done = [run for run in runs if not run.error]
    return spread_of(done, metric or metric_of(results)) if done else FAILED if runs else None


def by_seed(results: Sequence[Result], method: str, other: str) -> list[float]:
    """How far a method is above another in the main metric, per cent, for each seed that both were trained with. A seed
    gives both the same order of images and the same start of neck and head.
    """
    metric = metric_of(results)
    found: dict[str, dict[int, float]] = {method: {}, other: {}}
    for run in results:
        if run.kind == 'accuracy' and run.method in found and not run.error and metric in run.values['metrics']:
            found[run.method][run.values.get('seed')] = in_percent(metric, run.values['metrics'][metric])
    ours, others = found.values()
    return [ours[seed] - others[seed] for seed in sorted(ours.keys() & others.keys() - {None})]


def scores_by_method(results: Sequence[Result]) -> dict[str, Any]:
    """:func:`scores` of the methods, without variants, that have any, in order."""
    methods = without_variants(methods_in_order(results))
    return {method: score for method in methods if (score := scores(results, method))}


def spread_of(done: Iterable[Result], metric: str | None) -> Spread | None:
    """Of a metric, in per cent, over the trainings that have it; NaN is none."""
    found = [run.values['metrics'].get(metric, math.nan) for run in done]
    values = [in_percent(metric, value) for value in found if not math.isnan(value)]
    return Spread.of(values) if values else None
