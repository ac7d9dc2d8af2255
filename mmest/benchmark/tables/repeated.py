"""Trainings that were run again, beside their records."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from mmest.benchmark.again import AGAIN
from mmest.benchmark.metrics import main_metric

from .results import Result, read_results
from .scores import scores_by_method
from .table import Column, Spread, Table

#: How many deviations of seeds a training may be from its record.
WITHIN = 2


def read_again(sources: Sequence[Path]) -> list[Result]:
    """The trainings that were run again, of the folders of their records."""
    folders = [source / AGAIN for source in sources if any((source / AGAIN).glob('*.json'))]
    return [r for r in read_results(folders) if not r.error] if folders else []


def repeated(results: Sequence[Result], again: Sequence[Result]) -> tuple[Table, str]:
    """Each training that was run again beside its record, and a sentence on all, also on those that are not shown.

    The deviation is that of seeds, pooled over all methods of the same model on the same data, for that of one method
    over three seeds is known badly.

    Args:
        results: that have the records.
        again: of :func:`read_again`.
    """
    first = {_training(r): r for r in results if r.kind == 'accuracy' and not r.error}
    rows, near, judged = [], 0, 0
    for second in (r for r in again if _training(r) in first):
        record = first[_training(second)]
        before, after = _score(record), _score(second)
        deviation = _deviation([r for r in results if (r.dataset, r.model) == (record.dataset, record.model)])
        if deviation is not None:
            judged += 1
            near += abs(after - before) <= WITHIN * deviation
        name = f'{record.model} on {record.dataset}, {record.method}, seed {record.values["seed"]}'
        rows.append([name, before, after, after - before, deviation])
    columns = [Column('training')]
    columns += [Column(heading, '{:.1f}') for heading in ('record', 'again')]
    columns += [Column('difference', '{:+.1f}'), Column('deviation', '{:.1f}')]
    verdict = f'{near} of {judged} are within {WITHIN} deviations of their record.'
    if not judged:
        verdict = 'No method has two seeds, so no deviation is known.'
    if len(rows) < len(again):
        verdict += f' Not shown: {len(again) - len(rows)} more, whose record is of another rate now, or not there.'
    return Table('', columns, rows), verdict


def _training(r: Result) -> tuple:
    """What makes two runs the same training: the rate too, which a wider sweep may choose anew for the record."""
    return r.dataset, r.model, r.method, r.values.get('seed'), r.values.get('factor')


def _score(r: Result) -> float:
    return main_metric(r.values['metrics'])[1]


def _deviation(runs: Sequence[Result]) -> float | None:
    """Of seeds, pooled over methods; None where none has two."""
    spreads = scores_by_method(runs).values()
    known = [(s.std**2, s.seeds - 1) for s in spreads if isinstance(s, Spread) and s.std is not None]
    if not known:
        return None
    variances, freedom = zip(*known)
    return statistics.fmean(variances, freedom) ** 0.5
