"""Where EST does not win, said by the figures themselves."""

from collections.abc import Iterator, Sequence

from .results import Result
from .rows import unique
from .scores import scores_by_method
from .shares import by_setting, of_full
from .table import Spread

_EST, _FLOOR = 'est', 'frozen'


def where_est_does_not_win(results: Sequence[Result]) -> Iterator[str]:
    """One sentence per model and data set, or setting, in which EST was measured and another method is ahead of it."""
    for model in unique(r.model for r in results):
        mine = [r for r in results if r.model == model and not r.error]
        for dataset in unique(r.dataset for r in mine if r.kind == 'accuracy'):
            yield from _accuracy(model, dataset, [r for r in mine if r.kind == 'accuracy' and r.dataset == dataset])
        for kind in ('memory', 'time'):
            for setting, some in by_setting(mine, kind).items():
                shares = {r.method: of_full(some, r.method, kind) for r in some}
                yield from _cost(f'{kind.capitalize()}, {model} ({setting})', shares)


def _accuracy(model: str, dataset: str, runs: Sequence[Result]) -> Iterator[str]:
    by_method = scores_by_method(runs)
    mine = by_method.get(_EST)
    if not isinstance(mine, Spread):
        return
    ahead = [f'{method} ({score.mean:.1f})' for method, score in by_method.items() if score.mean > mine.mean]
    if ahead:
        seeds = {score.seeds for score in by_method.values()}
        caution = '; one seed each, so small differences are noise' if seeds == {1} else ''
        yield f'Accuracy, {model} on {dataset}: ahead of EST ({mine.mean:.1f}): {", ".join(ahead)}{caution}.'


def _cost(what: str, shares: dict[str, float | None]) -> Iterator[str]:
    known = {method: share for method, share in shares.items() if share is not None}
    if _EST not in known:
        return
    ahead = [
        f'{method} ({share:.0%})'
        for method, share in sorted(known.items(), key=lambda item: item[1])
        if share < known[_EST] and method != _FLOOR and not method.startswith(f'{_EST}, ')
    ]
    if ahead:
        yield f'{what}: below EST ({known[_EST]:.0%} of full), the frozen floor aside: {", ".join(ahead)}.'
