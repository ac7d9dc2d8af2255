"""What methods scored on the training images that chose their rates."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmest.benchmark.metrics import main_metric
from mmest.configs import head_and_backbone

from .comparison import in_order, unique
from .results import unreadable
from .table import Column, Spread, Table


def read_sweeps(sources: Iterable[Path]) -> list[dict]:
    """The trainings in folders of records that were scored on held-out training images, without variants and failures.

    Raises:
        ValueError: a file cannot be read.
    """
    found = []
    for path in sorted(path for source in sources for path in source.glob('sweep_*.json')):
        try:
            record = json.loads(path.read_text())
            found += [] if record['failed'] or record['variant'] else [record]
        except (ValueError, KeyError, TypeError) as error:
            raise unreadable(path, error) from error
    return found


def held_out_scores(sweeps: Sequence[dict]) -> Table:
    """Each method on each model and data set: its score at its best rate, of those that most seeds were given.

    Args:
        sweeps: of :func:`read_sweeps`.
    """
    scores: dict[tuple[str, str], dict[str, dict[float, list[float]]]] = defaultdict(lambda: defaultdict(dict))
    for record in sweeps:
        path = Path(record['config'])
        by_rate = scores[path.parent.name, head_and_backbone(path.stem)][record['method']]
        by_rate.setdefault(record['factor'], []).append(main_metric(record['metrics'])[1])
    methods = in_order(unique(method for found in scores.values() for method in found))
    best = {ground: {m: _best(found[m]) if m in found else None for m in methods} for ground, found in scores.items()}
    columns = [Column('method')]
    columns += [Column(f'{dataset}, {model}', '{:.1f}', largest_bold=True) for dataset, model in best]
    return Table('', columns, [[m, *(by[m] for by in best.values())] for m in methods])


def _best(by_rate: dict[float, list[float]]) -> Spread:
    most = max(map(len, by_rate.values()))
    return max((Spread.of(values) for values in by_rate.values() if len(values) == most), key=lambda s: s.mean)
