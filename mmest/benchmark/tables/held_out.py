"""What methods scored on the training images that chose their rates."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmest.benchmark.metrics import main_metric

from .results import ground_of, read_chosen
from .rows import in_order, unique
from .summary import AGAINST_FULL, against_full
from .table import Column, Spread, Table


def read_sweeps(sources: Iterable[Path]) -> list[dict]:
    """The trainings in folders of records that were scored on held-out training images, without variants and failures.

    Raises:
        ValueError: a file cannot be read.
    """
    paths = (path for source in sources for path in source.glob('sweep_*.json'))
    return read_chosen(paths, lambda record: not (record['failed'] or record['variant']))


def held_out_scores(sweeps: Sequence[dict]) -> Table:
    """Each method on each model and data set: its score at its best rate, of those that most seeds were given.

    Args:
        sweeps: of :func:`read_sweeps`.
    """
    scores: dict[tuple[str, str], dict[str, dict[float, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    for record in sweeps:
        by_rate = scores[ground_of(record['config'])][record['method']]
        by_rate.setdefault(record['factor'], []).append(main_metric(record['metrics'])[1])
    methods = in_order(unique(method for found in scores.values() for method in found))
    best = {ground: {m: _best(found[m]) if m in found else None for m in methods} for ground, found in scores.items()}
    columns = [Column('method')]
    columns += [Column(f'{dataset}, {model}', '{:.1f}', largest_bold=True) for dataset, model in best]
    rows = [[m, *(by[m] for by in best.values()), *against_full(best, m)] for m in methods]
    return Table('', [*columns, *AGAINST_FULL], rows)


def parts_held_out(sweeps: Sequence[dict]) -> str:
    """Which part of the training images of each data set scored: a share, or those with certain names.

    Args:
        sweeps: of :func:`read_sweeps`.
    """
    datasets: dict[str, list[str]] = defaultdict(list)
    for record in sweeps:
        datasets[_part(record['held_out'])].append(ground_of(record['config'])[0])
    return ', '.join(f'{part} of {" and ".join(unique(names))}' for part, names in datasets.items())


def _part(held_out: float | Sequence[str]) -> str:
    if isinstance(held_out, int | float):
        return f'{held_out:.0%}'
    return f'the images {" and ".join(f"`{pattern}`" for pattern in held_out)}'


def _best(by_rate: dict[float, list[float]]) -> Spread:
    most = max(map(len, by_rate.values()))
    return max((Spread.of(values) for values in by_rate.values() if len(values) == most), key=lambda s: s.mean)
