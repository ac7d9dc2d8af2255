"""What a user gets who trains both forms of EST on a part of the training images and takes the better one."""

import statistics
from collections.abc import Iterator, Sequence

from mmest.measure.memory.compare import FULL

from .results import Result
from .rows import find, unique
from .scores import scores
from .table import Column, Spread, Table

FORMS = ('est', 'steered_est')


def chosen(runs: Sequence[Result]) -> tuple[Table, str]:
    """Each data set and model where both forms and full fine-tuning were swept and scored: which form scores higher on
    the held-out training images, at its best rate, and what that form scores on the validation images.

    Args:
        runs: the accuracies.

    Returns:
        The table, and a sentence with the means against full fine-tuning; without a row there is no sentence.
    """
    rows, gains = [], []
    for ground, held_out, found in _grounds(runs):
        form = max(FORMS, key=lambda method: held_out[method])
        full = found[FULL]
        rows.append([ground, *held_out.values(), form, found[form], full])
        gains.append([found[method].mean - full.mean for method in (form, *FORMS)])
    columns = [Column('')]
    columns += [Column(f'{method}, held out', '{:.1f}') for method in FORMS]
    columns += [Column('chosen'), Column('its score', '{:.1f}'), Column(FULL, '{:.1f}')]
    if not rows:
        return Table('', columns), ''
    of_choice, *alone = map(statistics.mean, zip(*gains))
    each = ', '.join(f'{method} alone {gain:+.1f}' for method, gain in zip(FORMS, alone))
    over = f'{len(rows)} setting{"s" if len(rows) > 1 else ""}'
    verdict = f'Against full fine-tuning, mean over {over}: the chosen form {of_choice:+.1f}, {each}.'
    return Table('', columns, rows), verdict


def _grounds(runs: Sequence[Result]) -> Iterator[tuple[str, dict[str, float], dict[str, Spread]]]:
    for dataset, model in unique((r.dataset, r.model) for r in runs):
        mine = [r for r in runs if (r.dataset, r.model) == (dataset, model)]
        found = {method: scores(mine, method) for method in (FULL, *FORMS)}
        held_out = {method: find(mine, method, _best_held_out) for method in FORMS}
        if all(isinstance(s, Spread) for s in found.values()) and all(isinstance(s, float) for s in held_out.values()):
            yield f'{model} on {dataset}', held_out, found


def _best_held_out(result: Result) -> float | None:
    known = [score for score in (result.values.get('sweep_scores') or {}).values() if score is not None]
    return float(max(known)) if known else None
