"""The study of a grid in plain words: what was measured, what it says, and what is missing."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmest.benchmark.metrics import main_metric
from mmest.measure.memory.compare import FULL

from .care import unequal_care
from .changed_parts import changed_parts
from .chosen import chosen
from .few_images import few_images
from .held_out import held_out_scores, parts_held_out
from .more_steps import MOST_TIME, equal_time, more_steps
from .repeated import repeated
from .results import Result, ground_of, read_chosen
from .rows import methods_in_order, unique, without_variants
from .scores import by_seed, scores
from .shares import mean_shares
from .sizes import sizes
from .summary import AGAINST_FULL, against_full, settings
from .table import Column, Spread, Table

_OURS = {'est': 'EST', 'steered_est': 'SteeredEST'}
_FROZEN = 'frozen'
_NEIGHBOURING = 'dubai_neighbouring'
_HEAD = """# Study

Made by `mmest tables --study` from the JSON files of measurements; nobody types a figure. The grid
[`{name}`]({link}) says what is compared, at which rates, and
which part of the training images chooses among them. All compare at equal steps, unless a table says otherwise.
"""
_HELD_OUT = """Rates were chosen on a part of the training images, which these trainings did not see:
{parts}. So each method has a score on other images than those above. It is that of the
rate that is best there, which flatters all, and the more, the more rates a method had; the width and the taps of EST
were chosen on such images of dubai, hrplanes and epfl_road. Some scores may be of one seed, or of few rates. Points
from full fine-tuning are as above.
"""
_CHOSEN = """Whether a backbone has to be steered is asked of the training images: both forms of EST were trained
without a part of them and scored there, each at all rates of its sweep. The form that scores higher is taken.
`mmest choose` does the same for any config or data of your own. It is the better of two that is compared with one full
fine-tuning here.
"""
_PARTS = """One part changed at a time, at the rate that EST as it is chose;
[`ablation.py`](../benchmarks/grids/ablation.py) says what the names stand for. "Scaled corrections" had a rate of
their own.
"""
_AT_ONE_SIZE = """LST has an eighth of the backbone's width, as published for backbones four times as wide; EST's width
was chosen on these data. Here EST is as small as LST too, at the rate that EST as it is chose, and LST as wide as EST,
at one of its own ([`sizes.py`](../benchmarks/grids/sizes.py)).
"""
_FEW = """A part of the training images, the same for all methods, for as many steps as with all of them and at the rate
that the method chose on all of them ([`few_shot.py`](../benchmarks/grids/few_shot.py)).
"""
_LONGER = """A step beside a frozen backbone takes less time, so a method there can take more of them. The time is of
all steps, by the records of step times, as a share of full fine-tuning's at the usual length; rates are those of the
usual length ([`longer.py`](../benchmarks/grids/longer.py)).
"""
_EQUAL_TIME = f"""Each method of the tables above for as many steps as take no more than {MOST_TIME:.0%} of the time
that full fine-tuning takes at the usual length, and what full fine-tuning scores in that time.
"""
_AGAIN = """Trainings drawn at random from those that have a record, run once more with the same seed and rate
(`mmest benchmark GRID --again N`), by later code and on other hardware, as both records name them. The deviation is
that of seeds, pooled over the methods of a column above.
"""
_TRIALS = """A trial is a lead and no record: side network and head train for few steps on a finite set of views, on
what the frozen backbone makes of them (full fine-tuning runs its backbone on the same views). Older ones were scored on
validation images, later ones on a part of the training images that is held out. Every trial's JSON in
[`benchmarks/trials`](../benchmarks/trials) says so. Differences of one seed are noise unless they are large.
"""


def study(
    grid: str,
    asked: Sequence[dict],
    results: Sequence[Result],
    trials: Sequence[dict] = (),
    again: Sequence[Result] = (),
    sweeps: Sequence[dict] = (),
) -> str:
    """The page.

    Args:
        grid: path of the grid, from the page.
        asked: of the grid, by :func:`mmest.benchmark.grid.read_asked`.
        results: of all records.
        trials: records of trials that did not fail.
        again: trainings that were run again, of :func:`mmest.benchmark.tables.repeated.read_again`.
        sweeps: trainings that chose rates, of :func:`mmest.benchmark.tables.held_out.read_sweeps`.
    """
    ground = unique(ground_of(cell['config']) for cell in asked)
    mine = [r for r in results if r.kind == 'accuracy' and (r.dataset, r.model) in ground]
    old = [r for r in results if r.kind == 'accuracy' and (r.dataset, r.model) not in ground and not r.error]
    parts = [_HEAD.format(name=Path(grid).name, link=grid), '## What is measured\n', *_measured(asked, mine, old)]
    if mine:
        parts += ['## What the records say\n', *_said(ground, mine, results)]
    swept = [record for record in sweeps if ground_of(record['config']) in ground]
    if swept:
        text = _HELD_OUT.format(parts=parts_held_out(swept))
        parts += ['## What held-out training images say\n', text, held_out_scores(swept).markdown()]
    table, verdict = chosen(mine)
    if table.rows:
        parts += ['## Which of the two forms\n', _CHOSEN, table.markdown(), f'{verdict}\n']
    for heading, text, tables in (
        ('What the parts of EST are worth', _PARTS, [changed_parts(mine, 'est')]),
        ('At one size', _AT_ONE_SIZE, [sizes(mine)]),
        ('With few training images', _FEW, few_images(mine)),
        ('With more steps', _LONGER, more_steps(mine, results)),
    ):
        found = [part for table in tables if table.rows for part in (f'**{table.title}**\n', table.markdown())]
        if found:
            parts += [f'## {heading}\n', text, *found]
    table, verdict = equal_time(mine, results)
    if table.rows:
        parts += ['## In the time of full fine-tuning\n', _EQUAL_TIME, table.markdown(), f'{verdict}\n']
    if again:
        table, verdict = repeated(mine, again)
        parts += ['## Run again\n', _AGAIN, table.markdown(), f'{verdict}\n']
    unequal = list(unequal_care(mine))
    if unequal:
        parts += ['## Where the care was not equal\n', '\n'.join(f'- {line}' for line in unequal) + '\n']
    if trials:
        parts += ['## What trials say of EST\n', _TRIALS, *_trial_tables(trials)]
    return '\n'.join(parts)


def read_trials(folder: Path) -> list[dict]:
    """The trials in a folder that did not fail.

    Raises:
        ValueError: a file cannot be read.
    """
    return read_chosen(folder.glob('trial_*.json'), lambda record: not record['failed'])


def _measured(asked: Sequence[dict], mine: Sequence[Result], old: Sequence[Result]) -> Iterator[str]:
    done = {(r.dataset, r.model, r.method, r.values['seed']) for r in mine if not r.error}
    missing = [cell for cell in asked if (*ground_of(cell['config']), cell['method'], cell['seed']) not in done]
    yield (
        f'The grid asks for {len(asked)} trainings beside their sweeps; {len(asked) - len(missing)} have a record, '
        f'{len(missing)} are missing.\n'
    )
    for dataset, model in unique(ground_of(cell['config']) for cell in missing):
        some = [cell for cell in missing if ground_of(cell['config']) == (dataset, model)]
        yield f'- {model} on {dataset}: missing {len(some)} of {_number(asked, dataset, model)}'
    yield ''
    if old:
        names = ', '.join(f'{model} on {dataset}' for dataset, model in unique((r.dataset, r.model) for r in old))
        neighbours = (
            f' On {_NEIGHBOURING}, training and validation patches are neighbours, cut from the same tiles: what a '
            'method learns by heart counts there, so these records do not say which method is best.'
        )
        more = neighbours if any(r.dataset == _NEIGHBOURING for r in old) else ''
        yield f'Beside it there are records of other grounds: {names}.{more} [benchmarks.md](benchmarks.md) has them.\n'


def _number(asked: Sequence[dict], dataset: str, model: str) -> int:
    return sum(ground_of(cell['config']) == (dataset, model) for cell in asked)


def _said(ground: Sequence[tuple], mine: Sequence[Result], results: Sequence[Result]) -> Iterator[str]:
    methods = without_variants(methods_in_order(mine))
    found = {}
    for dataset, model in ground:
        some = [r for r in mine if (r.dataset, r.model) == (dataset, model)]
        if some:
            found[dataset, model] = {method: scores(some, method) for method in methods}
    columns = [Column('method')]
    columns += [Column(f'{dataset}, {model}', '{:.1f}', largest_bold=True) for dataset, model in found]
    columns += [*AGAINST_FULL, Column('mean rank', '{:.1f}'), Column('memory of full', '{:.0%}')]
    shares = {model: mean_shares(results, 'memory', model, methods) for model in unique(model for _, model in found)}
    ranks = _mean_ranks(found, methods)
    rows = [
        [
            method,
            *(by[method] for by in found.values()),
            *against_full(found, method),
            ranks.get(method),
            _mean_share(shares, method),
        ]
        for method in methods
    ]
    yield Table('', columns, rows).markdown()
    yield (
        'Points from full fine-tuning are the mean over the settings, a data set and a model each, in which the '
        "method, full fine-tuning and EST have a score; EST's there stand beside them. The mean rank is that among the "
        'methods with a score in every setting that EST has one in; the memory of a step is the mean over the models '
        'where it was measured. In the sentences, what stands behind a number of seeds are the differences seed by '
        'seed.\n'
    )
    lines = [
        line
        for (dataset, model), by in found.items()
        for method in _OURS
        for line in _sentence(method, [r for r in mine if (r.dataset, r.model) == (dataset, model)], by, shares[model])
    ]
    if lines:
        yield '\n'.join(f'- {line}' for line in lines) + '\n'


def _mean_share(shares: dict[str, dict[str, float]], method: str) -> float | None:
    known = [by[method] for by in shares.values() if method in by]
    return statistics.mean(known) if known else None


def _mean_ranks(found: dict, methods: Sequence[str]) -> dict[str, float]:
    where = settings(found, next(iter(_OURS)))
    everywhere = [method for method in methods if where and settings(found, method) == where]
    among = [{method: found[ground][method] for method in everywhere} for ground in where]
    return {method: statistics.mean(_rank(by, method) for by in among) for method in everywhere}


def _rank(found: dict, method: str) -> int | None:
    mine = found[method]
    if not isinstance(mine, Spread):
        return None
    return 1 + sum(isinstance(other, Spread) and other.mean > mine.mean for other in found.values())


def _sentence(method: str, runs: Sequence[Result], found: dict, shares: dict[str, float]) -> Iterator[str]:
    ours = found.get(method)
    if not isinstance(ours, Spread):
        return
    words = []
    for name in (FULL, _FROZEN):
        other = found.get(name)
        if isinstance(other, Spread):
            apart = 'more than' if abs(ours.mean - other.mean) > max(ours.std or 0, other.std or 0) else 'within'
            each = ', '.join(f'{gain:+.1f}' for gain in by_seed(runs, method, name))
            said = f'{_seeds(ours, other)}: {each}' if each else _seeds(ours, other)
            words.append(f'{ours.mean - other.mean:+.1f} to {name}, {apart} a deviation ({said})')
    known = _known(found)
    light = {name: found[name] for name in known if shares.get(name, 1) < 0.5}
    among = f" ({_rank(light, method)} of {len(light)} under half of full's memory)" if method in light else ''
    against = f'; {"; ".join(words)}' if words else ''
    place = f'rank {_rank(found, method)} of {len(known)}{among}'
    yield f'{runs[0].model} on {runs[0].dataset}: {_OURS[method]} {ours.mean:.1f}, {place}{against}.'


def _known(found: dict) -> list[str]:
    return [method for method, score in found.items() if isinstance(score, Spread)]


def _seeds(*spreads: Spread) -> str:
    counts = unique(spread.seeds for spread in spreads)
    return f'{" and ".join(map(str, counts))} seed{"s" if counts != [1] else ""}'


def _trial_tables(trials: Sequence[dict]) -> Iterator[str]:
    for setting in unique(_setting(trial) for trial in trials):
        mine = [trial for trial in trials if _setting(trial) == setting]
        factors = sorted({trial['factor'] for trial in mine})
        names = sorted({_method(trial) for trial in mine}, key=lambda name: (name.partition(',')[0], name))
        rows = []
        for name in names:
            some = [trial for trial in mine if _method(trial) == name]
            by_factor = [[_value(trial) for trial in some if trial['factor'] == factor] for factor in factors]
            trained = some[0]['parameters']['trained_by_method'] / 1e6
            rows.append([name, *(Spread.of(values) if values else None for values in by_factor), trained, len(some)])
        columns = [
            Column('variant'),
            *(Column(f'rate ×{factor:g}', '{:.1f}', largest_bold=True) for factor in factors),
            Column('trained by the method, M', '{:.2f}'),
            Column('trials'),
        ]
        (data, model, steps, held_out), one, images = setting, mine[0], mine[0]['images']
        yield (
            f'**{model} on {data}**: {main_metric(one["metrics"])[0]} on {images["val"]} '
            f'{"held-out training" if held_out else "validation"} images after {steps} steps of batch '
            f'{one["batch_size"]}, from {one["views"]} view{"s" if one["views"] > 1 else ""} of each of '
            f'{images["train"]} images.\n'
        )
        yield Table('', columns, rows).markdown()


def _setting(trial: dict) -> tuple[str, str, int, bool]:
    """Data set, head and backbone, and steps of a trial; whether training images score it."""
    return *ground_of(trial['config']), trial['steps'], 'held_out' in trial


def _method(trial: dict) -> str:
    return trial['method'] + (f', {trial["variant"]}' if trial['variant'] else '')


def _value(trial: dict) -> float:
    return main_metric(trial['metrics'])[1]
