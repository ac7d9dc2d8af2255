"""How many training images a method needs: its scores by the share of the images that it was given."""

import re
from collections.abc import Iterator, Sequence

from .results import Result
from .rows import methods_in_order, trained_otherwise
from .scores import scores
from .table import Column, Table

#: How `benchmarks/grids/few_shot.py` calls a share; with all images a method has no variant.
_FEW = re.compile(r'(\d+) per cent of the images')


def few_images(runs: Sequence[Result]) -> Iterator[Table]:
    """A table of each data set and model where methods were trained on a part of the images."""
    for dataset, model, mine, by_method in trained_otherwise(runs, _FEW):
        shares = sorted(set().union(*by_method.values()))
        columns = [Column(f'{share:g} %', '{:.1f}', largest_bold=True) for share in (*shares, 100)]
        rows = [
            [
                method,
                *(scores(mine, f'{method}, {share:g} per cent of the images') for share in shares),
                scores(mine, method),
            ]
            for method in methods_in_order(mine)
            if method in by_method
        ]
        yield Table(f'{dataset}, {model}', [Column('method'), *columns], rows)
