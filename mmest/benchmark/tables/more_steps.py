"""What more steps give, and what they take in time."""

import re
from collections.abc import Iterator, Sequence

from mmest.measure.memory.compare import FULL

from .comparison import mean_shares, methods_in_order, scores, trained_otherwise
from .results import Result
from .table import Column, Table

#: How `benchmarks/grids/longer.py` calls longer trainings; one of the usual length has no variant.
_LONGER = re.compile(r'for ([\d.]+) times the steps')


def more_steps(runs: Sequence[Result], results: Sequence[Result]) -> Iterator[Table]:
    """A table of each data set and model where methods were trained for longer, full fine-tuning with them.

    Args:
        runs: the accuracies.
        results: that have the times of a step.
    """
    for dataset, model, mine, by_method in trained_otherwise(runs, _LONGER):
        lengths = {FULL: set(), **by_method}
        methods = [method for method in methods_in_order(mine) if method in lengths]
        times = mean_shares([r for r in results if r.dataset == dataset], 'time', model, methods)
        yield Table(
            f'{dataset}, {model}',
            [
                Column('method'),
                Column('steps', '×{:g}'),
                Column('time of full', '{:.0%}'),
                Column('score', '{:.1f}', True),
            ],
            [
                [method, length, times[method] * length if method in times else None, scores(mine, name)]
                for method in methods
                for length in (1, *sorted(lengths[method]))
                for name in [method if length == 1 else f'{method}, for {length:g} times the steps']
            ],
        )
