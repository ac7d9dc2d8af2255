"""Results from the JSON files of ``mmest benchmark``, ``mmest memory`` and ``mmest time``, and from work
folders.
"""

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmest.configs import available_tunings, head_and_backbone

from .work_dirs import records_of_trainings, told_apart


@dataclass(frozen=True)
class Result:
    """One figure of one method, or its failure.

    Attributes:
        kind: memory, time, largest_batch or accuracy.
        model: head and backbone, by the name of the config.
        dataset: by the folder of the config.
        method: name of the method, and its variant.
        setting: in words: size, batch, precision, hardware. Empty for accuracy.
        error: last line, if it failed.
        values: what was found; see :func:`_results`.
    """

    kind: str
    model: str
    dataset: str
    method: str
    setting: str = ''
    error: str | None = None
    values: dict[str, Any] = field(default_factory=dict)


def read_results(sources: Sequence[Path], may_be_none: bool = False) -> list[Result]:
    """All results in files and folders.

    Args:
        sources: JSON files, folders of them, and work folders of trainings (or folders that hold some).
        may_be_none: give an empty list where there is nothing in the sources.

    Raises:
        FileNotFoundError: a source is not there.
        ValueError: a file cannot be read; two say different things of the same; there is nothing in the sources.
    """
    results: list[Result] = []
    trainings: dict[Path, dict] = {}
    for source in sources:
        if not source.exists():
            raise FileNotFoundError(f'There is no "{source}".')
        for path in [source] if source.is_file() else sorted(source.glob('*.json')):
            results += _of_file(path)
        if source.is_dir():
            trainings |= {Path(record['source']).resolve(): record for record in records_of_trainings(source)}
    for record in told_apart(list(trainings.values())):
        results += _results(record)
    if not (results or may_be_none):
        raise ValueError(
            f'There are neither records nor trainings in {", ".join(map(str, sources))}. Records are the JSON files '
            'of mmest benchmark, mmest memory, mmest time and mmest backbones.'
        )
    results = _with_data_sets(results)
    _refuse_doubles(results)
    _refuse_equal_seeds(results)
    return results


def _with_data_sets(results: Sequence[Result]) -> list[Result]:
    """Results in which a setting that was measured for several data sets says the data set, whatever the methods: the
    numbers of their classes differ, and a share of full fine-tuning is of one model.
    """
    datasets: dict[tuple, set[str]] = defaultdict(set)
    for r in results:
        if r.kind != 'accuracy':
            datasets[r.kind, r.model, r.setting].add(r.dataset)
    return [
        replace(r, setting=f'{r.setting}, {r.dataset}') if len(datasets[r.kind, r.model, r.setting]) > 1 else r
        for r in results
    ]


def _refuse_doubles(results: Sequence[Result]) -> None:
    cells = Counter((r.kind, r.model, r.setting, r.method) for r in results if r.kind != 'accuracy')
    doubles = [cell for cell, times in cells.items() if times > 1]
    if doubles:
        raise ValueError(
            f'There are several records of the {doubles[0][0]} of {doubles[0][3]} for {doubles[0][1]}, {doubles[0][2]}'
            f'{f", and of {len(doubles) - 1} more" if len(doubles) > 1 else ""}. Keep one of each.'
        )


def _refuse_equal_seeds(results: Sequence[Result]) -> None:
    """Two trainings with one seed are not two samples of what a method scores."""
    sources: dict[tuple, str] = {}
    for r in results:
        if r.kind != 'accuracy' or r.error or r.values.get('seed') is None:
            continue
        source, seed = r.values['source'], r.values['seed']
        other = sources.setdefault((r.model, r.dataset, r.method, seed), source)
        if other != source:
            raise ValueError(
                f'{other} and {source} are both of {r.method} for {r.model} on {r.dataset} with seed {seed}. Keep '
                'one of them, or train the other with another seed.'
            )


def _of_file(path: Path) -> list[Result]:
    try:
        record = json.loads(path.read_text())
        # Work folders hold other JSON files too.
        return _results(dict(record, source=str(path))) if isinstance(record, dict) and 'config' in record else []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise unreadable(path, error) from error


def read_chosen(paths: Iterable[Path], wanted: Callable[[dict], bool]) -> list[dict]:
    """Records that are no results, as they are in their files, and of these the wanted ones.

    Raises:
        ValueError: a file cannot be read.
    """
    found = []
    for path in sorted(paths):
        try:
            record = json.loads(path.read_text())
            found += [record] if wanted(record) else []
        except (ValueError, KeyError, TypeError) as error:
            raise unreadable(path, error) from error
    return found


def ground_of(config: str) -> tuple[str, str]:
    """Data set, and head and backbone, of a config."""
    path = Path(config)
    return path.parent.name, head_and_backbone(path.stem)


def unreadable(path: Path, error: Exception) -> ValueError:
    """What is raised for a record that is cut off or lacks something."""
    return ValueError(
        f'{path} is no record that can be read ({type(error).__name__}: {error}). Remove it, or measure it again.'
    )


def _kind(record: dict) -> str:
    """The measuring commands do not say it."""
    return record.get('kind') or ('memory' if 'tunings' in record else 'time' if 'seconds' in record else 'accuracy')


def _results(record: dict) -> list[Result]:
    kind, path = _kind(record), Path(record['config'])
    about = dict(
        kind=kind,
        model=record.get('head_and_backbone') or head_and_backbone(path.stem),
        dataset=_dataset(kind, record),
    )
    if kind in ('sweep', 'trial'):  # trials are no records
        return []
    if kind != 'accuracy':
        about['setting'] = _setting(kind, record)
    if record.get('failed'):
        methods = [record['method']] if 'method' in record else record['tunings']
        return [Result(**about, method=_named(method, record), error=record['error'][-1]) for method in methods]
    if kind == 'memory':
        optimizer = dict(optimizer=record['optimizer'])
        return [
            Result(**about, method=_named(method, record, row.get('memory')), values={**optimizer, **row})
            for method, row in record['tunings'].items()
        ]
    if kind == 'time':
        failed = [
            Result(**about, method=_named(method, record), error=error)
            for method, error in record.get('failures', {}).items()
        ]
        levers = record.get('memory', {})
        beside = dict(full=statistics.median(record['full_seconds'])) if 'full_seconds' in record else {}
        return failed + [
            Result(
                **about,
                method=_named(method, record, levers.get(method)),
                values=dict(beside, median=statistics.median(seconds), steps=len(seconds)),
            )
            for method, seconds in record['seconds'].items()
        ]
    return [Result(**about, method=_named(record['method'], record), values=record)]


def _named(method: str, record: dict, levers: Sequence[str] | None = None) -> str:
    """A method with its variant, which a cell has. A record of the measuring commands has levers on memory in its
    place, but where these name the row, as on the ladder.
    """
    if 'variant' in record:
        return f'{method}, {record["variant"]}' if record['variant'] else method
    return f'{method}, {" ".join(levers)}' if levers and method in available_tunings() else method


def _dataset(kind: str, record: dict) -> str:
    name = record.get('dataset') or Path(record['config']).parent.name
    # dubai once meant the split whose patches are neighbours; it is recognised by the lists that it did not have.
    if kind == 'accuracy' and name == 'dubai' and 'tiles_apart' not in record.get('config_text', 'tiles_apart'):
        return 'dubai_neighbouring'
    return name


def _setting(kind: str, record: dict) -> str:
    height, width = record['size']
    size = f'{height}²' if height == width else f'{height}×{width}'
    if kind == 'largest_batch':
        return f'{size}, {record["precision"]}, {record["budget_gib"]} GiB'
    setting = f'{record["batch_size"]} × {size}, {record["precision"]}'
    if kind == 'time':
        return f'{setting}, {_hardware(record)}'
    return f'{setting}, CUDA' if record['device'] == 'cuda' else setting


def _hardware(record: dict) -> str:
    if 'hardware' in record:
        return record['hardware']
    return record.get('card') or f'CPU, {record["threads"]} threads'
