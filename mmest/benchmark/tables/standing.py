"""Where EST does not win, said by the figures themselves."""

from collections.abc import Iterator, Sequence

from mmest.measure.memory.compare import FULL

from .comparison import scores_by_method, unique
from .results import Result
from .table import Spread

_EST, _FLOOR = 'est', 'frozen'


def where_est_does_not_win(results: Sequence[Result]) -> Iterator[str]:
    """One sentence per model and data set, or setting, in which EST was measured and another method is ahead of it."""
    for model in unique(r.model for r in results):
        mine = [r for r in results if r.model == model and not r.error]
        for dataset in unique(r.dataset for r in mine if r.kind == 'accuracy'):
            yield from _accuracy(model, dataset, [r for r in mine if r.kind == 'accuracy' and r.dataset == dataset])
        for kind, key, what in (('memory', 'peak', 'Memory'), ('time', 'median', 'Time')):
            for setting in unique(r.setting for r in mine if r.kind == kind):
                yield from _cost(
                    model,
                    setting,
                    what,
                    {r.method: r.values[key] for r in mine if r.kind == kind and r.setting == setting},
                )


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


def _cost(model: str, setting: str, what: str, by_method: dict) -> Iterator[str]:
    if not {_EST, FULL} <= by_method.keys():
        return
    ours = by_method[_EST]
    ahead = [
        f'{method} ({value / by_method[FULL]:.0%})'
        for method, value in sorted(by_method.items(), key=lambda item: item[1])
        if value < ours and method != _FLOOR and not method.startswith(f'{_EST}, ')
    ]
    if ahead:
        yield (
            f'{what}, {model} ({setting}): below EST ({ours / by_method[FULL]:.0%} of full), the frozen floor aside: '
            f'{", ".join(ahead)}.'
        )
