"""How many training images a method needs: its scores by the share of the images that it was given."""

import re
from collections.abc import Iterator, Sequence

from .comparison import methods_in_order, scores, unique
from .results import Result
from .table import Column, Table

#: How `benchmarks/grids/few_shot.py` calls a share; with all images a method has no variant.
_FEW = re.compile(r'(?P<method>[^,]+), (?P<share>\d+) per cent of the images')


def few_images(results: Sequence[Result]) -> Iterator[Table]:
    """A table of each data set and model where methods were trained on a part of the images."""
    runs = [r for r in results if r.kind == 'accuracy']
    few = [(r, found) for r in runs if (found := _FEW.fullmatch(r.method))]
    for dataset, model in unique((r.dataset, r.model) for r, _ in few):
        mine = [r for r in runs if (r.dataset, r.model) == (dataset, model)]
        parts = [found for r, found in few if (r.dataset, r.model) == (dataset, model)]
        shares = sorted({int(found['share']) for found in parts})
        methods = {found['method'] for found in parts}
        yield Table(
            f'{dataset}, {model}',
            [Column('method'), *(Column(f'{share} %', '{:.1f}', largest_bold=True) for share in (*shares, 100))],
            [
                [
                    method,
                    *(scores(mine, f'{method}, {share} per cent of the images') for share in shares),
                    scores(mine, method),
                ]
                for method in methods_in_order(mine)
                if method in methods
            ],
        )
