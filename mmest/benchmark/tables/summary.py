"""One row per method: what it scores and what it needs, over the same settings, with EST beside it."""

import statistics
from collections.abc import Mapping, Sequence

from mmest.measure.memory.compare import FULL

from .results import Result
from .rows import methods_in_order, unique, without_variants
from .scores import scores_by_method
from .shares import mean_shares
from .table import Column, Spread, Table

_EST = 'est'
#: What grids call a method whose blocks run again in the backward pass: it scores as without.
RECOMPUTED = ', recomputed'

#: By data set and model, and by method; what is no Spread has no score.
Scores = Mapping[tuple[str, str], Mapping[str, object]]


def summary(results: Sequence[Result]) -> Table:
    """A method's row is the mean over the :func:`settings` in which it has a score: its distance to full fine-tuning,
    that of EST there, and its shares of full fine-tuning's memory and time for a step of the same models, whatever the
    data set that they were measured for.
    """
    runs = [r for r in results if r.kind == 'accuracy']
    found = {
        (dataset, model): scores_by_method([r for r in runs if (r.dataset, r.model) == (dataset, model)])
        for dataset, model in unique((r.dataset, r.model) for r in runs)
    }
    names = methods_in_order(results)
    shares = {
        kind: {model: mean_shares(results, kind, model, names) for _, model in found} for kind in ('memory', 'time')
    }
    rows = []
    for name in names:
        method = name.removesuffix(RECOMPUTED)
        models = [model for _, model in settings(found, method)]
        if name != method:
            models = [model for model in models if name in shares['memory'][model]]
        if models and without_variants([method]):
            needs = [[of[model][name] for model in models if name in of[model]] for of in shares.values()]
            rows.append([name, *against_full(found, method), *(statistics.mean(n) if n else None for n in needs)])
    costs = [Column(f'{what} of full', '{:.0%}') for what in ('memory', 'time')]
    return Table('Which method, at what cost', [Column('method'), *AGAINST_FULL, *costs], rows)


#: Of :func:`against_full`.
AGAINST_FULL = (Column('against full, points', '{:+.1f}'), Column('EST there', '{:+.1f}'), Column('settings'))


def settings(found: Scores, method: str) -> list[tuple[str, str]]:
    """Where a method has a score beside full fine-tuning and EST; EST may be missing where it has none anywhere."""

    def scored(ground: tuple[str, str], *methods: str) -> bool:
        return all(isinstance(found[ground].get(one), Spread) for one in methods)

    beside = [FULL, _EST] if any(scored(ground, FULL, _EST) for ground in found) else [FULL]
    return [ground for ground in found if scored(ground, method, *beside)]


def against_full(found: Scores, method: str) -> list[float | int | None]:
    """Points from full fine-tuning, mean over the :func:`settings` of a method; those of EST there; the settings'
    number.
    """
    where = settings(found, method)
    if not where:
        return [None] * len(AGAINST_FULL)

    def mean(one: str) -> float | None:
        both = [(found[ground].get(one), found[ground][FULL]) for ground in where]
        gains = [score.mean - full.mean for score, full in both if isinstance(score, Spread)]
        return statistics.mean(gains) if gains else None

    return [mean(method), mean(_EST), len(where)]
