"""What came out, beside what the publisher states."""

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mmest.console import plain_console
from mmest.datasets.preparation.problems import Problem
from mmest.datasets.preparation.work import DatasetModule, Done, Job
from mmest.files import write_bytes, write_json

SUMMARY = 'summary.json'
PROBLEMS = 'problems.txt'
_SHOWN, _PASSED = 20, 3


def summarize(
    dataset: DatasetModule,
    out: Path,
    results: list[tuple[Job, Done]],
    problems: list[Problem],
    passed_over: list[str],
) -> bool:
    """Print the summary, write it to ``summary.json`` and the problems to ``problems.txt``.

    Args:
        dataset: its module.
        out: the output folder.
        results: every job with what it gave.
        problems: what was wrong beside what jobs say.
        passed_over: images that the data set has no use for.

    Returns:
        Whether all that was there could be used.
    """
    problems = problems + [Problem(*one) for _, done in results for one in done.problems]
    splits = list(dict.fromkeys([*dataset.OFFICIAL, *(job.split for job, _ in results)]))
    counts = {split: Counter() for split in splits}
    classes = {split: Counter() for split in splits}
    for job, done in results:
        counts[job.split].update(done.counts)
        classes[job.split].update(done.classes)
    console = plain_console()
    console.print(_totals(dataset, counts))
    console.print(_classes(dataset, classes))
    write_json(
        out / SUMMARY,
        dict(
            dataset=dataset.TITLE,
            counts=counts,
            official=dataset.OFFICIAL,
            classes=classes,
            problems=[str(problem) for problem in problems],
            passed_over=passed_over,
        ),
    )
    if passed_over:
        console.print(
            f'Images of the source that are in no split of {dataset.TITLE}: {len(passed_over)}, '
            f'{", ".join(passed_over[:_PASSED])}{", ..." if len(passed_over) > _PASSED else ""} '
            f'(all in {out / SUMMARY}).',
            soft_wrap=True,
            markup=False,
        )
    _report(dataset, out, counts, problems, console)
    return not problems


def _totals(dataset: DatasetModule, counts: dict[str, Counter]) -> Table:
    table = Table('split', 'what', 'here', 'official', '', title=dataset.TITLE)
    for split, found in counts.items():
        official = dataset.OFFICIAL.get(split, {})
        for what in dict.fromkeys([*official, *found]):
            stated = official.get(what)
            verdict = '' if stated is None else 'equal' if stated == found[what] else f'{found[what] - stated:+d}'
            table.add_row(split, what, str(found[what]), '' if stated is None else str(stated), verdict)
    return table


def _classes(dataset: DatasetModule, classes: dict[str, Counter]) -> Table:
    splits = [split for split, found in classes.items() if found]
    table = Table('class', *splits, title=f'{dataset.UNIT} per class')
    for name in dict.fromkeys([*dataset.CLASSES, *(name for found in classes.values() for name in found)]):
        table.add_row(name, *(str(classes[split][name]) for split in splits))
    return table


def _report(
    dataset: DatasetModule, out: Path, counts: dict[str, Counter], problems: list[Problem], console: Console
) -> None:
    differing = [
        f'{split}: {found[what]} {what} instead of {stated}'
        for split, found in counts.items()
        for what, stated in dataset.OFFICIAL.get(split, {}).items()
        if stated != found[what]
    ]
    if differing:
        console.print(
            f'NOT THE WHOLE of {dataset.TITLE}, by the numbers of its publisher: {"; ".join(differing)}.',
            soft_wrap=True,
        )
    else:
        console.print(f'All numbers are those of the publisher of {dataset.TITLE}.')
    if not problems:
        (out / PROBLEMS).unlink(missing_ok=True)
        console.print('No file was damaged or missing.')
        return
    write_bytes(out / PROBLEMS, ''.join(f'{problem}\n' for problem in problems).encode(errors='backslashreplace'))
    console.print(f'{len(problems)} PROBLEMS, all of them in {out / PROBLEMS}:', soft_wrap=True)
    for problem in problems[:_SHOWN]:
        console.print(f'  {problem}', soft_wrap=True)
    console.print('The rest is prepared. Replace what is damaged and run the same command again.')
