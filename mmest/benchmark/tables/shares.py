"""Memory and time of a step as shares of those of full fine-tuning."""

import statistics
from collections.abc import Sequence
from typing import Any

from mmest.measure.memory.compare import FULL

from .results import Result
from .rows import find, unique
from .table import FAILED


def share(value: Any, full: Any) -> Any:
    """Of full fine-tuning; None where that is missing or failed."""
    if value is None or value is FAILED:
        return value
    return None if full is None or full is FAILED else value / full


def of_full(results: Sequence[Result], method: str, kind: str) -> Any:
    """What a method needs of full fine-tuning's memory or time for a step, in one model and setting: None where either
    is missing, FAILED if the method failed.

    Times are compared with those of full fine-tuning in the same process, where the record has them: a machine is not
    always as fast.
    """
    key = dict(memory='peak', time='median')[kind]
    plain = find(results, FULL, lambda r: r.values[key])
    return find(results, method, lambda r: share(r.values[key], r.values.get('full', plain)))


def by_setting(results: Sequence[Result], kind: str) -> dict[str, list[Result]]:
    """Results of a kind by setting."""
    settings = unique(result.setting for result in results if result.kind == kind)
    return {setting: [r for r in results if r.kind == kind and r.setting == setting] for setting in settings}


def shares_of_full(results: Sequence[Result], kind: str, methods: Sequence[str]) -> dict[str, list[float]]:
    """What methods need of full fine-tuning's memory or time for a step, in each model and setting in which both were
    measured.
    """
    found: dict[str, list[float]] = {method: [] for method in methods}
    for model in unique(r.model for r in results if r.kind == kind):
        for mine in by_setting([r for r in results if r.model == model], kind).values():
            for method in methods:
                value = of_full(mine, method, kind)
                if isinstance(value, float):
                    found[method].append(value)
    return found


def mean_shares(results: Sequence[Result], kind: str, model: str, methods: Sequence[str]) -> dict[str, float]:
    """The mean of :func:`shares_of_full` over the settings of one model; methods without any are left out."""
    shares = shares_of_full([result for result in results if result.model == model], kind, methods)
    return {method: statistics.mean(known) for method, known in shares.items() if known}
