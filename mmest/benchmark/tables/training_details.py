"""How the trainings of one model were done, and all that they scored."""

from collections.abc import Sequence
from typing import Any

from .results import Result
from .rows import methods_in_order, unique
from .scores import spread_of
from .table import FAILED, Column, Table


def training_details(results: Sequence[Result], model: str, dataset: str) -> Table:
    """All metrics of the runs of one model on one data set, and how they were trained."""
    some = [r for r in results if r.kind == 'accuracy' and r.model == model and r.dataset == dataset]
    metrics = unique(
        name for r in some if not r.error for name in r.values['metrics'] if not name.endswith(('_s', '_m', '_l'))
    )
    columns = [
        Column('method'),
        *(Column(name.rpartition('/')[2], '{:.1f}', largest_bold=True) for name in metrics),
        Column('rate of schedule', '{:g}'),
        Column('of method', '{:g}'),
        Column('swept'),
        Column('seeds'),
    ]
    rows = []
    for method in methods_in_order(some):
        runs = [r for r in some if r.method == method]
        done = [r for r in runs if not r.error]
        if not done:
            rows.append([method, *([FAILED if runs else None] * (len(columns) - 1))])
            continue
        spreads, first = [spread_of(done, name) for name in metrics], done[0].values
        failed = f' and {len(runs) - len(done)} failed' if len(runs) > len(done) else ''
        rows.append([method, *spreads, *_rates(first), _swept(first), f'{len(done)}{failed}'])
    return Table(f'{model}, {dataset}: metrics', columns, rows)


def _rates(run: dict) -> tuple[float, Any]:
    """Of the schedule, after the sweep, and that times the factor of the method, if it trains anything."""
    rate, of_method = run['learning_rate'], run['tuning'].get('lr_mult', 1)
    if (run.get('sweep') or {}).get('of') == 'method':
        of_method *= run['factor']
    return rate, rate * of_method if run['parameters']['trained_by_method'] else ''


def scored_factors(run: dict) -> list[float]:
    """Factors on the learning rate that have a score, lowest first; one whose run failed has none."""
    scores = run.get('sweep_scores') or {}
    return sorted(float(factor) for factor, score in scores.items() if score is not None)


def at_the_edge(run: dict) -> bool:
    """Whether the chosen rate is the lowest or the highest of those with a score: a better one may lie beyond."""
    factors = scored_factors(run)
    return len(factors) > 1 and run['factor'] in (factors[0], factors[-1])


def _swept(run: dict) -> str:
    """The factors on the learning rate that have a score, the chosen one first, those that failed, and with how many
    seeds if with more than one.
    """
    tried, scored = run.get('sweep_scores'), scored_factors(run)
    if not tried:
        return 'no'
    failed = sorted({float(factor) for factor in tried} - set(scored))
    without = f', failed {", ".join(f"{factor:g}" for factor in failed)}' if failed else ''
    edge = ', at the edge: widen' if at_the_edge(run) else ''
    seeds = len(run['sweep'].get('seeds', []))
    each = f', {seeds} seeds each' if seeds > 1 else ''
    return f'×{run["factor"]:g} of {", ".join(f"{factor:g}" for factor in scored)}{without}{edge}{each}'
