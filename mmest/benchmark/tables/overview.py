"""All models side by side: what a method saves, and what it scores."""
import statistics
from dataclasses import replace
from typing import Any, Callable, Dict, List, Sequence

from mmest.engine.memory.compare import FULL

from .comparison import find, methods_in_order, scores, share, unique
from .results import Result
from .table import Column, Table


def memory_overviews(results: Sequence[Result]) -> List[Table]:
    """Per setting that several models were measured in: share of full fine-tuning by method and model."""
    memory = [r for r in results if r.kind == 'memory']
    tables = []
    for setting in unique(r.setting for r in memory):
        some = [r for r in memory if r.setting == setting]
        models = {model: [r for r in some if r.model == model] for model in unique(r.model for r in some)}
        columns = {}
        for model, mine in models.items():
            full = find(mine, FULL, lambda r: r.values['peak'])
            columns[model] = lambda method, mine=mine, full=full: share(find(mine, method, lambda r: r.values['peak']), full)
        if len(models) > 1:
            tables.append(_ranked(_overview(f'Memory at a glance: share of full fine-tuning ({setting})', some, columns,
                                            Column('', '{:.1%}'))))
    return tables


def accuracy_overviews(results: Sequence[Result]) -> List[Table]:
    """The main metric by method, data set and model, if there are several of these."""
    runs = [r for r in results if r.kind == 'accuracy']
    columns = {}
    for dataset, model in unique((r.dataset, r.model) for r in runs):
        mine = [r for r in runs if (r.dataset, r.model) == (dataset, model)]
        columns[f'{dataset}, {model}'] = lambda method, mine=mine: scores(mine, method)
    return [_overview('Accuracy at a glance: main metric', runs, columns, Column('', '{:.1f}', largest_bold=True))] if len(
        columns) > 1 else []


def _overview(title: str, results: Sequence[Result], columns: Dict[str, Callable[[str], Any]], like: Column) -> Table:
    """Methods without their variants."""
    methods = [method for method in methods_in_order(results) if ',' not in method]
    return Table(title, [Column('method'), *(replace(like, heading=name) for name in columns)],
                 [[method, *(value(method) for value in columns.values())] for method in methods])


def _ranked(table: Table) -> Table:
    """With the average, and the rank by it, of the methods that were measured in every column; the smallest is first."""
    averages = [statistics.mean(row[1:]) if all(isinstance(value, float) for value in row[1:]) else None for row in table.rows]
    known = sorted(average for average in averages if average is not None)
    return Table(table.title, [*table.columns, replace(table.columns[-1], heading='average'), Column('rank')], [
        [*row, average, None if average is None else f'{1 + known.index(average)} of {len(known)}']
        for row, average in zip(table.rows, averages)])
