"""Which tuning method suits some data, at which rate: each trains on a part of the training images, and the rest scores
it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .cell import Cell
from .grid import expanded, with_config
from .metrics import main_metric
from .record import read_record
from .tables.table import Column, Table
from .training import chosen_factor

FACTORS = (0.3, 1.0, 3.0)


@dataclass(frozen=True)
class Candidate:
    """A method, and what it scored on the held-out images.

    Attributes:
        method: its name.
        scores: by factor on its rate, in per cent of the main metric, means over seeds; None where a run failed.
        factor: the one that scored best; None where none has a score.
        metric: name of the metric.
        option: what sets the rate of that factor, as ``--cfg-options`` takes it.
    """

    method: str
    scores: dict[float, float | None]
    factor: float | None = None
    metric: str = ''
    option: str = ''

    @property
    def score(self) -> float:
        """The best; below all scores where there is none."""
        return -1.0 if self.factor is None else self.scores[self.factor] or 0.0


@dataclass(frozen=True)
class Choice:
    """The trainings that choose a method and its rate.

    Attributes:
        trainings: cells that are scored on held-out training images.
        asked: of each method, what :func:`mmest.benchmark.training.chosen_factor` is asked.
    """

    trainings: list[Cell]
    asked: list[dict]


def choice_of(
    config: Path, tunings: Sequence[str], factors: Sequence[float], held_out: float | Sequence[str], seeds: int = 1
) -> Choice:
    """The trainings of a choice, scored on held-out training images.

    Args:
        config: file of the config.
        tunings: names of methods.
        factors: on the rate of the method; of a frozen backbone, which has none, on that of neck and head.
        held_out: see :func:`mmest.benchmark.held_out.hold_out`.
        seeds: trainings at each rate.
    """
    numbers = list(range(seeds))
    entries = [
        dict(
            configs=[str(config)],
            tunings=[name],
            seeds=numbers,
            sweep=dict(
                factors=list(dict.fromkeys(factors)),
                held_out=held_out,
                seeds=numbers,
                **({} if name == 'frozen' else dict(of='method')),
            ),
        )
        for name in dict.fromkeys(tunings)
    ]
    cells = expanded(dict(accuracy=entries), 'the choice')
    return Choice(
        [with_config(cell) for cell in cells if cell.kind == 'sweep'],
        [cell.request for cell in cells if cell.kind == 'accuracy' and cell.request['seed'] == 0],
    )


def candidates(choice: Choice, records: Path) -> list[Candidate]:
    """What the records of a choice say of each of its methods, the best first."""
    return sorted((_candidate(request, records) for request in choice.asked), key=lambda one: -one.score)


def _candidate(request: dict, records: Path) -> Candidate:
    method, sweep = request['method'], request['sweep']
    factors = [float(f'{factor:g}') for factor in sweep['factors']]
    try:
        found = chosen_factor(request, records)
    except RuntimeError:
        return Candidate(method, dict.fromkeys(factors))
    best = found['factor']
    place = factors.index(best) * (len(sweep['cells']) // len(factors))
    record = read_record(records / f'{sweep["cells"][place]}.json')
    if 'of' in sweep:
        option = f'model.backbone.tuning.lr_mult={record["tuning"].get("lr_mult", 1.0) * best:.6g}'
    else:
        option = f'optim_wrapper.optimizer.lr={record["learning_rate"]:.6g}'
    scores = dict(zip(factors, found['sweep_scores'].values()))
    metric, _ = main_metric(record['metrics'])
    return Candidate(method, scores, best, metric, '' if best == 1 else option)


def table(found: Sequence[Candidate]) -> Table:
    """Methods by factors."""
    columns = [Column('method'), *(Column(f'rate × {factor:g}', '{:.1f}') for factor in sorted(found[0].scores))]
    rows = [[one.method, *(one.scores[factor] for factor in sorted(one.scores))] for one in found]
    return Table('', columns, rows)


def remarks(found: Sequence[Candidate], seeds: int) -> list[str]:
    """What a choice says, and how far it can be trusted, in sentences; the best has a score."""
    best, *others = [one for one in found if one.factor is not None]
    if best.score <= 0:
        return [f'No method has learnt anything: {best.metric} is 0 at every rate, which chooses none. Train longer.']
    rate = 'its own rate' if best.factor == 1 else f'{best.factor:g} times its rate'
    said = [f'{best.method} scores highest: {best.metric} {best.score:.1f} at {rate}.']
    factors = sorted(best.scores)
    for edge, further in ((factors[0], factors[0] / 3), (factors[-1], factors[-1] * 3)):
        there = [one.method for one in (best, *others) if one.factor == edge]
        if there and len(factors) > 1:
            tried = ' '.join(f'{factor:.2g}' for factor in sorted([*factors, further]))
            said.append(
                f'The best rate of {", ".join(there)} lies at the edge of what was tried: add --factors {tried}. What '
                'is trained is kept.'
            )
    if others and seeds == 1:
        said.append(
            f'Next is {others[0].method} with {others[0].score:.1f}. Each is one training, and on small sets seeds '
            'alone differ by a point or more: where it is close, add --seeds 3.'
        )
    return said
