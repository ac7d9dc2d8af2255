"""The tables of a paper: methods in rows; parameters, memory, time and accuracy in columns."""

import statistics
from collections.abc import Callable, Iterable, Sequence

from mmest.measure.memory.categories import COLUMNS

from .results import Result
from .rows import find, methods_in_order, rows_of_model, unique, without_variants
from .scores import metric_of, scores
from .shares import by_setting, of_full
from .table import Column, Spread, Table

_MB = 2**20


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
