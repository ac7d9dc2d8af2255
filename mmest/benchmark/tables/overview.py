"""All models side by side: what a method saves, and what it scores."""
import statistics
from dataclasses import replace
from typing import Any, Dict, List, Sequence

from mmest.engine.memory.compare import FULL

from .comparison import find, methods_in_order, scores, share, unique, without_variants
from .results import Result
from .table import Column, Table


def memory_overviews(results: Sequence[Result]) -> List[Table]:
    """Per setting that several models were measured in: share of full fine-tuning by method and model."""
    memory = [r for r in results if r.kind == 'memory']
    tables = []
    for setting in unique(r.setting for r in memory):
        some = [r for r in memory if r.setting == setting]
        methods, columns = without_variants(methods_in_order(some)), {}
        for model in unique(r.model for r in some):
            mine = [r for r in some if r.model == model]
            peaks = {method: find(mine, method, lambda r: r.values['peak']) for method in (FULL, *methods)}
            columns[model] = [share(peaks[method], peaks[FULL]) for method in methods]
        if len(columns) > 1:
            title = f'Memory at a glance: share of full fine-tuning ({setting})'
            tables.append(_ranked(_overview(title, methods, columns, Column('', '{:.1%}'))))
    return tables


def accuracy_overviews(results: Sequence[Result]) -> List[Table]:
    """The main metric by method, data set and model, if there are several of these."""
    runs = [r for r in results if r.kind == 'accuracy']
    methods, columns = without_variants(methods_in_order(runs)), {}
    for dataset, model in unique((r.dataset, r.model) for r in runs):
        mine = [r for r in runs if (r.dataset, r.model) == (dataset, model)]
        columns[f'{dataset}, {model}'] = [scores(mine, method) for method in methods]
    if len(columns) < 2:
        return []
    return [_overview('Accuracy at a glance: main metric', methods, columns, Column('', '{:.1f}', largest_bold=True))]


def _overview(title: str, methods: List[str], columns: Dict[str, List[Any]], like: Column) -> Table:
    return Table(title, [Column('method'), *(replace(like, heading=name) for name in columns)],
                 [list(row) for row in zip(methods, *columns.values())])


def _ranked(table: Table) -> Table:
    """With the average, and the rank by it, of the methods that were measured in every column; the smallest is first."""
    averages = [statistics.mean(row[1:]) if all(isinstance(value, float) for value in row[1:]) else None for row in table.rows]
    known = sorted(average for average in averages if average is not None)
    return Table(table.title, [*table.columns, replace(table.columns[-1], heading='average'), Column('rank')], [
        [*row, average, None if average is None else f'{1 + known.index(average)} of {len(known)}']
        for row, average in zip(table.rows, averages)])
