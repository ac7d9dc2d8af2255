"""Whether methods were compared with equal care: as many rates and seeds, none that failed, seeds that were trained
alike, the same data and kind of machine, and no best rate at the edge of its sweep.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from mmest.benchmark.config_text import meaning

from .results import Result
from .rows import methods_in_order, unique, without_variants
from .training_details import at_the_edge, scored_factors


def unequal_care(results: Sequence[Result]) -> Iterator[str]:
    """One sentence per model and data set where methods were not compared with equal care."""
    for model, dataset in unique((r.model, r.dataset) for r in results if r.kind == 'accuracy'):
        asked = [r for r in results if (r.kind, r.model, r.dataset) == ('accuracy', model, dataset)]
        runs = [r for r in asked if not r.error]
        by_method = {
            method: [r.values for r in runs if r.method == method]
            for method in without_variants(methods_in_order(runs))
        }
        faults = [*_failures(asked, by_method), *_faults(by_method)]
        if faults:
            yield f'{model} on {dataset}: {"; ".join(faults)}.'


def _failures(asked: Sequence[Result], by_method: dict[str, list[dict]]) -> Iterator[str]:
    """Of methods that have a score; where all failed the tables say it."""
    for method, runs in by_method.items():
        count = sum(r.method == method for r in asked)
        if len(runs) < count:
            yield f'of the {count} trainings of {method} {count - len(runs)} failed, and its score is of the rest'


def _faults(by_method: dict[str, list[dict]]) -> Iterator[str]:
    edge = [method for method, runs in by_method.items() if any(at_the_edge(run) for run in runs)]
    if edge:
        yield f'the best rate of {", ".join(edge)} lies at the edge of its sweep: widen it'
    mixed = [method for method, runs in by_method.items() if not _trained_alike(runs)]
    if mixed:
        yield f'the seeds of {", ".join(mixed)} differ in rate or config: run the grid again'
    other = list(_of_other_data(by_method))
    if other:
        yield f'the data of {", ".join(other)} is not that of the others: train on one copy of it'
    places = {method: _places(runs) for method, runs in by_method.items()}
    if len(kinds := unique(where for where in places.values() if where)) > 1:
        each = (f'{", ".join(m for m, where in places.items() if where == kind)} on {kind}' for kind in kinds)
        yield f'the machines differ: {"; ".join(each)}'
    for what, number in (('rates', _rates), ('seeds of the sweep', _swept_seeds), ('seeds', len)):
        numbers = {method: number(runs) for method, runs in by_method.items()}
        if len(set(numbers.values())) > 1:
            yield f'{what} differ: {", ".join(f"{method} {count}" for method, count in numbers.items())}'


def _trained_alike(runs: list[dict]) -> bool:
    """Whether runs differ in nothing but their seed: after a change of a grid some may be of before it."""
    texts = {run['config_text'] for run in runs if run.get('config_text')}
    rates = {(run.get('learning_rate'), run.get('factor')) for run in runs}
    return len(rates) < 2 and (len(texts) < 2 or len(set(map(meaning, texts))) < 2)


def _of_other_data(by_method: dict[str, list[dict]]) -> Iterator[str]:
    """Methods with a run whose annotations or images are not those of most runs; older records do not tell theirs."""
    seen = {method: [str(run['data']) for run in runs if run.get('data')] for method, runs in by_method.items()}
    most = Counter(one for some in seen.values() for one in some).most_common(1)
    yield from (method for method, some in seen.items() if any(one != most[0][0] for one in some))


def _places(runs: list[dict]) -> str:
    """A CPU, a card by its name, or both; empty where no record says it."""
    names = (run['hardware'].partition(', ') for run in runs if run.get('hardware'))
    return ' and '.join(unique(name if rest.startswith('driver') else 'a CPU' for name, _, rest in names))


def _rates(runs: list[dict]) -> int:
    """Rates with a score that the rate was chosen from; 1 where it was not swept."""
    return len(scored_factors(runs[0])) or 1


def _swept_seeds(runs: list[dict]) -> int:
    return len((runs[0].get('sweep') or {}).get('seeds') or [None])
