"""The tables of a paper: methods in rows; parameters, memory, time and accuracy in columns."""

import math
import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mmest.benchmark.metrics import in_percent, main_name
from mmest.measure.memory.categories import COLUMNS
from mmest.measure.memory.compare import FULL

from .results import Result
from .table import FAILED, Column, Spread, Table

#: The order that papers have; other methods stand between them by name.
_FIRST = (FULL, 'frozen', 'partial')
_LAST = ('est', 'steered_est')
_MB = 2**20


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


def comparison(results: Sequence[Result], model: str) -> Table:
    """One model: trained parameters, memory and time in each setting, main metric on each data set, their mean,
    rank.
    """
    mine = [result for result in results if result.model == model]
    methods = rows_of_model(results, model)
    columns = [
        (Column('method'), methods),
        *_parameter_columns(mine, methods),
        *_memory_columns(mine, methods),
        *_time_columns(mine, methods),
        *_batch_columns(mine, methods),
        *_accuracy_columns(mine, methods),
    ]
    return Table(
        model, [column for column, _ in columns], [list(row) for row in zip(*(values for _, values in columns))]
    )


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


def _parameter_columns(results, methods) -> Iterable[tuple[Column, list]]:
    known = [result for result in results if 'parameters' in result.values]

    def value(method: str, get: Callable[[dict], float]) -> float | None:
        return find(known, method, lambda result: get(result.values['parameters']))

    yield Column('trained, M', '{:.2f}'), [value(m, lambda p: p['trained_by_method'] / 1e6) for m in methods]
    yield Column('of backbone', '{:.2%}'), [value(m, lambda p: p['trained_by_method'] / p['backbone']) for m in methods]
    yield Column('neck and head, M', '{:.2f}'), [value(m, lambda p: p['trained_in_heads'] / 1e6) for m in methods]


def _memory_columns(results, methods) -> Iterable[tuple[Column, list]]:
    for setting, some in by_setting(results, 'memory').items():
        peaks = [find(some, method, lambda result: result.values['peak'] / _MB) for method in methods]
        yield Column(f'memory, MB ({setting})', '{:.0f}'), peaks
        yield Column('of full', '{:.1%}'), [of_full(some, method, 'memory') for method in methods]


def _time_columns(results, methods) -> Iterable[tuple[Column, list]]:
    for setting, some in by_setting(results, 'time').items():
        times = [find(some, method, lambda result: result.values['median']) for method in methods]
        yield Column(f'time, s ({setting})', '{:.3g}'), times
        yield Column(f'time of full ({setting})', '{:.0%}'), [of_full(some, method, 'time') for method in methods]


def _batch_columns(results, methods) -> Iterable[tuple[Column, list]]:
    for setting, some in by_setting(results, 'largest_batch').items():
        yield (
            Column(f'largest batch ({setting})', '{}'),
            [find(some, method, lambda result: result.values['batch_size']) for method in methods],
        )


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
    return _spread(done, metric or metric_of(results)) if done else FAILED if runs else None


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


def _spread(done: Iterable[Result], metric: str | None) -> Spread | None:
    """Of a metric, in per cent, over the trainings that have it; NaN is none."""
    found = [run.values['metrics'].get(metric, math.nan) for run in done]
    values = [in_percent(metric, value) for value in found if not math.isnan(value)]
    return Spread.of(values) if values else None


def _accuracy_columns(results, methods) -> Iterable[tuple[Column, list]]:
    runs = [result for result in results if result.kind == 'accuracy']
    datasets = unique(run.dataset for run in runs)
    by_dataset = []
    for dataset in datasets:
        some = [run for run in runs if run.dataset == dataset]
        metric = (metric_of(some) or '?').rpartition('/')[2]
        by_dataset.append([scores(some, method) for method in methods])
        yield Column(f'{dataset}, {metric}', '{:.1f}', largest_bold=True), by_dataset[-1]
    averages = (
        [
            statistics.mean(score.mean for score in row) if all(isinstance(score, Spread) for score in row) else None
            for row in zip(*by_dataset)
        ]
        if by_dataset
        else []
    )
    if len(datasets) > 1:
        yield Column('average', '{:.1f}', largest_bold=True), averages
    if datasets:
        score_of = dict(zip(methods, averages))
        ranked = {method: score_of[method] for method in without_variants(methods) if score_of[method] is not None}
        yield (
            Column('rank'),
            [
                f'{1 + sum(other > ranked[method] for other in ranked.values())} of {len(ranked)}'
                if method in ranked
                else None
                for method in methods
            ],
        )


def attribution(results: Sequence[Result], model: str, setting: str) -> Table:
    """What the live peak of each method is made of, in MB; on CUDA the allocator's figures stand beside it."""
    some = [r for r in results if r.kind == 'memory' and r.model == model and r.setting == setting]
    methods = methods_in_order(some)
    columns = [Column('live peak', '{:.0f}')] + [Column(column.heading, '{:.0f}') for column in COLUMNS]
    values = [lambda r: r.values['peak'] / _MB] + [
        lambda r, keys=keys: sum(r.values['attribution'][key] for key in keys) / _MB for _, _, keys in COLUMNS
    ]
    if any(not r.error and r.values['allocator'] for r in some):
        columns += [Column('allocated', '{:.0f}'), Column('reserved', '{:.0f}')]
        values += [lambda r, key=key: r.values['allocator'][key] / _MB for key in ('max_allocated', 'max_reserved')]
    columns.append(Column('peak in'))
    values.append(lambda r: unique((r.values['phase'], r.values['part'])))
    rows = [[method, *(find(some, method, value) for value in values)] for method in methods]
    for row in rows:
        row[-1] = ', '.join(row[-1]) if isinstance(row[-1], list) else row[-1]
    optimizer = next((r.values['optimizer'] for r in some if not r.error), '?')
    return Table(f'{model}, {setting}, {optimizer}: live peak, MB', [Column('method'), *columns], rows)


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
        spreads, first = [_spread(done, name) for name in metrics], done[0].values
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
