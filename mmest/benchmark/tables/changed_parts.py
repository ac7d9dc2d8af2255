"""What the parts of a method are worth: its scores with one of them changed."""

from collections.abc import Sequence

from .results import Result
from .rows import unique
from .scores import scores
from .table import Column, Spread, Table

#: What `benchmarks/grids/ablation.py` calls a change begins so.
_CHANGED = 'with '


def changed_parts(runs: Sequence[Result], method: str) -> Table:
    """A row for each change, and two columns for each data set and model: the score, and how far it is from that of
    the method as it is.

    Args:
        runs: the accuracies.
        method: whose parts were changed.
    """
    begin = f'{method}, {_CHANGED}'
    changed = [r for r in runs if r.method.startswith(begin)]
    columns, scored = [Column('change')], []
    for ground in unique((r.dataset, r.model) for r in changed):
        columns += [Column(f'{ground[1]} on {ground[0]}', '{:.1f}', largest_bold=True), Column('difference', '{:+.1f}')]
        scored.append([r for r in runs if (r.dataset, r.model) == ground])
    whole = [scores(mine, method) for mine in scored]
    rows = [['as it is', *(value for score in whole for value in (score, None))]]
    for name in unique(r.method for r in changed):
        found = [scores(mine, name) for mine in scored]
        beside = [value for pair in zip(found, map(_difference, found, whole)) for value in pair]
        rows.append([name.removeprefix(begin), *beside])
    return Table(f'Parts of {method}', columns, rows if changed else [])


def _difference(score: object, whole: object) -> float | None:
    return score.mean - whole.mean if isinstance(score, Spread) and isinstance(whole, Spread) else None
