"""All models side by side: what a method saves, and what it scores."""

import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from .results import Result
from .rows import methods_in_order, unique, without_variants
from .scores import scores
from .shares import by_setting, of_full, shares_of_full
from .table import Column, Table


def costs(results: Sequence[Result]) -> Table:
    """One row per method: what share of full fine-tuning's memory and time it takes, each with the number of models and
    settings that the mean is over.
    """
    methods = without_variants(methods_in_order(results))
    shares = [shares_of_full(results, kind, methods) for kind in ('memory', 'time')]
    columns = [Column('method')]
    for heading in ('memory of full', 'time of full'):
        columns += [Column(heading, '{:.0%}'), Column('in')]
    rows = [[method, *(cell for of in shares for cell in _mean_and_number(of[method]))] for method in methods]
    return Table('What it costs, over all models', columns, rows)


def _mean_and_number(values: list[float]) -> tuple[float | None, int | None]:
    return (statistics.mean(values), len(values)) if values else (None, None)


def memory_overviews(results: Sequence[Result]) -> list[Table]:
    """Per setting that several models were measured in: share of full fine-tuning by method and model, average,
    rank.
    """
    return [_ranked(table) for table in _cost_overviews(results, 'memory', 'Memory', '{:.1%}')]


def time_overviews(results: Sequence[Result]) -> list[Table]:
    """The same of the time of a step. Without ranks: the methods beside a frozen backbone are too close for so few
    steps.
    """
    return [_averaged(table) for table in _cost_overviews(results, 'time', 'Time of a step', '{:.0%}')]


def accuracy_overviews(results: Sequence[Result]) -> list[Table]:
    """The main metric by method, data set and model, if there are several of these."""
    runs = [r for r in results if r.kind == 'accuracy']
    methods, columns = without_variants(methods_in_order(runs)), {}
    for dataset, model in unique((r.dataset, r.model) for r in runs):
        mine = [r for r in runs if (r.dataset, r.model) == (dataset, model)]
        columns[f'{dataset}, {model}'] = [scores(mine, method) for method in methods]
    if len(columns) < 2:
        return []
    return [_overview('Accuracy at a glance: main metric', methods, columns, Column('', '{:.1f}', largest_bold=True))]


def _overview(title: str, methods: list[str], columns: dict[str, list[Any]], like: Column) -> Table:
    return Table(
        title,
        [Column('method'), *(replace(like, heading=name) for name in columns)],
        [list(row) for row in zip(methods, *columns.values())],
    )


def _cost_overviews(results: Sequence[Result], kind: str, heading: str, form: str) -> list[Table]:
    tables = []
    for setting, some in by_setting(results, kind).items():
        methods, columns = without_variants(methods_in_order(some)), {}
        for model in unique(r.model for r in some):
            mine = [r for r in some if r.model == model]
            columns[model] = [of_full(mine, method, kind) for method in methods]
        if len(columns) > 1:
            title = f'{heading} at a glance: share of full fine-tuning ({setting})'
            tables.append(_overview(title, methods, columns, Column('', form)))
    return tables


def _averaged(table: Table) -> Table:
    """With the average of the methods that were measured in every column."""
    averages = [
        statistics.mean(row[1:]) if all(isinstance(value, float) for value in row[1:]) else None for row in table.rows
    ]
    return Table(
        table.title,
        [*table.columns, replace(table.columns[-1], heading='average')],
        [[*row, average] for row, average in zip(table.rows, averages)],
    )


def _ranked(table: Table) -> Table:
    """With the average, and the rank by it; the smallest is first."""
    table = _averaged(table)
    known = sorted(row[-1] for row in table.rows if row[-1] is not None)
    return Table(
        table.title,
        [*table.columns, Column('rank')],
        [[*row, None if row[-1] is None else f'{1 + known.index(row[-1])} of {len(known)}'] for row in table.rows],
    )
