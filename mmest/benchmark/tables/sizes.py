"""What the size of a network beside the backbone does to its score, and what its form."""

from collections.abc import Sequence

from .results import Result
from .rows import unique
from .scores import scores
from .table import Column, Table

#: Each method as it is, and at the size of the other, as `benchmarks/grids/sizes.py` calls it.
_SIZES = ('est', 'est, with reduction 6 and taps 2', 'lst', 'lst, with reduction 2')


def sizes(runs: Sequence[Result]) -> Table:
    """A row for each size of a method, and two columns for each data set and model on which all sizes were trained: how
    many parameters the method trains, and its score.

    Args:
        runs: the accuracies.
    """
    columns, cells = [Column('method')], []
    for ground in unique((r.dataset, r.model) for r in runs):
        mine = [r for r in runs if (r.dataset, r.model) == ground]
        done = {r.method: r for r in mine if r.method in _SIZES and not r.error}
        if len(done) == len(_SIZES):
            columns += [
                Column(f'{ground[1]} on {ground[0]}', '{:.1f}', largest_bold=True),
                Column('trained, M', '{:.2f}'),
            ]
            trained = [done[name].values['parameters']['trained_by_method'] / 1e6 for name in _SIZES]
            cells += [[scores(mine, name) for name in _SIZES], trained]
    return Table('At one size', columns, [list(row) for row in zip(_SIZES, *cells)] if cells else [])
