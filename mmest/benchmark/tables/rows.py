"""Which methods the rows of tables are of, and in which order."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mmest.measure.memory.compare import FULL

from .results import Result
from .table import FAILED

#: The order that papers have; other methods stand between them by name.
_FIRST = (FULL, 'frozen', 'partial')
_LAST = ('est', 'steered_est')


def unique(values: Iterable[Any]) -> list[Any]:
    """Without repetitions, in the order of the first appearances."""
    return list(dict.fromkeys(values))


def methods_in_order(results: Sequence[Result]) -> list[str]:
    """All methods of results, by :func:`in_order`."""
    return in_order({result.method for result in results})


def in_order(methods: Iterable[str]) -> list[str]:
    """Methods that give the frame first, EST and its kin last, variants behind their method."""

    def rank(method: str) -> tuple[int, str]:
        name = method.partition(',')[0].partition(' ')[0]
        if name in _FIRST:
            return _FIRST.index(name), method
        return len(_FIRST) + (1 + _LAST.index(name) if name in _LAST else 0), method

    return sorted(methods, key=rank)


def without_variants(methods: Iterable[str]) -> list[str]:
    """The methods alone, without the variants behind them."""
    return [method for method in methods if ',' not in method]


def rows_of_model(results: Sequence[Result], model: str) -> list[str]:
    """Methods that a table of one model has rows for: all that were measured on any model, and its own variants."""
    mine = {result.method for result in results if result.model == model}
    return [method for method in methods_in_order(results) if method in mine or ',' not in method and '(' not in method]


def find(results: Iterable[Result], method: str, value: Callable[[Result], Any]) -> Any:
    """The value of the one result of a method; None if there is none, FAILED if it failed."""
    for result in results:
        if result.method == method:
            return FAILED if result.error else value(result)
    return None


def trained_otherwise(
    runs: Sequence[Result], variant: re.Pattern
) -> Iterator[tuple[str, str, list[Result], dict[str, set[float]]]]:
    """Data sets and models on which methods have variants of one kind: data set, model, all accuracies there, and the
    numbers of the variants by method.

    Args:
        runs: the accuracies.
        variant: what the variants are called, with one group, the number.
    """
    found = [
        (r, method, match)
        for r in runs
        for method, _, name in [r.method.partition(', ')]
        if (match := variant.fullmatch(name))
    ]
    for ground in unique((r.dataset, r.model) for r, _, _ in found):
        numbers: dict[str, set[float]] = {}
        for r, method, match in found:
            if (r.dataset, r.model) == ground:
                numbers.setdefault(method, set()).add(float(match[1]))
        yield *ground, [r for r in runs if (r.dataset, r.model) == ground], numbers
