"""From a grid file to the cells that it asks for."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmest.configs import available_tunings, head_and_backbone, run_stem
from mmest.measure.memory.compare import FULL
from mmest.measure.ready import PRECISIONS

from .cell import Cell
from .config_text import config_text
from .selection import select

_STEP = dict(sizes=[[512, 512]], batch_sizes=[2], device='cpu', precisions=['fp32'])
#: What an entry of each kind may say, and what it says if it does not. ``configs`` it has to.
DEFAULTS: dict[str, dict] = dict(
    memory=_STEP,
    time=dict(_STEP, steps=20),
    largest_batch=dict(_STEP, budgets_gib=[24, 80]),
    accuracy=dict(seeds=[0], sweep=None),
    trial=dict(
        seeds=[0], factors=[1.0], factor_of=None, steps=500, batch_size=8, views=2, label_stride=1, held_out=0.2
    ),
)
_COMMON = dict(tunings=None, options={}, variant='')
SWEEP = dict(factors=[0.3, 1.0, 3.0], held_out=0.2)
#: What a training step depends on.
_STEP_PARTS = ('default_scope', 'model', 'optim_wrapper', 'memory')


def read_grid(path: str, words: Sequence[str] = ()) -> list[Cell]:
    """The cells of a grid file, memory first; ``mmest benchmark --help`` has its format.

    Args:
        path: the file.
        words: the part that they choose, by :func:`mmest.benchmark.selection.select`; all without words.

    Raises:
        FileNotFoundError: the file, or a config that it names, is not there.
        ValueError: it asks for what there is not, or words for what it does not have.
    """
    cells = expanded(_entries(path), path)
    # Configs are read last: those of a large grid take minutes.
    return [with_config(cell) for cell in (select(cells, words) if words else cells)]


def expanded(grid: dict, path: str) -> list[Cell]:
    """What the entries of a grid ask for, without the texts of configs.

    Args:
        grid: lists of entries, by kind.
        path: what errors call it.

    Raises:
        ValueError: an entry asks for what there is not; two cells have one name.
    """
    cells: dict[str, Cell] = {}
    for kind, expand in _EXPAND.items():
        for entry in grid.get(kind, []):
            for request in expand(_completed(path, kind, entry)):
                request = json.loads(json.dumps(request))  # as it will be read again
                cell = Cell(request.pop('name'), request)
                if cells.setdefault(cell.name, cell) != cell:
                    raise ValueError(
                        f'Two cells of {path} are named {cell.name} and differ. Give one of them a "variant".'
                    )
    return list(cells.values())


def with_config(cell: Cell) -> Cell:
    """The cell with what its methods and its config are now, so that its record says it whatever becomes of them."""
    about = cell.request
    parts = _STEP_PARTS if 'size' in about else ()  # of trainings all
    methods = about.get('tunings') or [about['method']]
    found = [config_text(about['config'], about['options'], method, parts) for method in methods]
    tunings = [tuning for _, tuning in found]
    # Of a time cell, which has all its methods in one process, the text is the first one's.
    asked = dict(tunings=dict(zip(methods, tunings))) if 'tunings' in about else dict(tuning=tunings[0])
    if 'tunings' in about and about['options']:
        # The machine may be slower than it was for the plain methods, so they bring what they are compared with.
        asked['full_config_text'] = config_text(about['config'], {}, FULL, parts)[0]
    return Cell(cell.name, {**about, **json.loads(json.dumps(asked)), 'config_text': found[0][0]})


def read_asked(path: str) -> list[dict]:
    """The trainings that a grid file asks to be scored, sweeps left out: ``config``, ``method`` with its variant, and
    ``seed`` of each. Configs are not read, so this is quick.

    Raises:
        FileNotFoundError, ValueError: see :func:`read_grid`.
    """
    return [
        dict(
            config=config,
            method=method + (f', {entry["variant"]}' if entry['variant'] else ''),
            seed=seed,
        )
        for entry in (_completed(path, 'accuracy', entry) for entry in _entries(path).get('accuracy', []))
        for config, method, seed in product(entry['configs'], entry['tunings'], entry['seeds'])
    ]


def _entries(path: str) -> dict:
    """The lists of entries of a grid file, by kind."""
    if not Path(path).is_file():
        raise FileNotFoundError(f'There is no grid file "{path}".')
    try:
        grid = dict(Config.fromfile(path).items())
    except Exception as error:  # a grid is code of its author's, like a config
        raise ValueError(f'The grid {path} cannot be read: {type(error).__name__}: {error}') from error
    unknown = [key for key, value in grid.items() if key not in DEFAULTS and _is_entries(value)]
    if unknown or not DEFAULTS.keys() & grid.keys():
        raise ValueError(
            f'The grid {path} should hold lists named {", ".join(DEFAULTS)}; found {", ".join(unknown or grid)}.'
        )
    return grid


def _is_entries(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(entry, dict) and 'configs' in entry for entry in value)


def _completed(path: str, kind: str, entry: dict) -> dict:
    known = {**_COMMON, **DEFAULTS[kind]}
    wrong = [key for key in entry if key not in known and key != 'configs']
    if wrong or not entry.get('configs'):
        raise ValueError(
            f'An entry of "{kind}" in {path} needs "configs" and may have {", ".join(known)}; found '
            f'{", ".join(entry) or "nothing"}.'
        )
    entry = {**known, **entry}
    entry['tunings'] = entry['tunings'] or available_tunings()
    for precision in entry.get('precisions', ()):
        if precision not in PRECISIONS:
            raise ValueError(f'{path} asks for the precision "{precision}"; there are {", ".join(PRECISIONS)}.')
    return entry


def _settings(entry: dict) -> Iterator[dict]:
    """What all cells of a training step have in common, one of each combination."""
    for config, size, batch_size, precision in product(
        entry['configs'], entry['sizes'], entry['batch_sizes'], entry['precisions']
    ):
        yield dict(
            config=config,
            size=list(size),
            batch_size=batch_size,
            precision=precision,
            device=entry['device'],
            options=entry['options'],
            variant=entry['variant'],
        )


def _setting_name(setting: dict) -> str:
    height, width = setting['size']
    return f'{_model_name(setting)}_{setting["batch_size"]}x{height}x{width}_{setting["precision"]}_{setting["device"]}'


def _model_name(request: dict) -> str:
    path = Path(request['config'])
    stem = head_and_backbone(run_stem(request['config']))
    variant = f'_{request["variant"].replace(" ", "-")}' if request['variant'] else ''
    return f'{path.absolute().parent.name}_{stem}{variant}'


def _memory(entry: dict) -> Iterator[dict]:
    for setting in _settings(entry):
        for method in entry['tunings']:
            yield dict(kind='memory', name=f'memory_{_setting_name(setting)}_{method}', **setting, method=method)


def _time(entry: dict) -> Iterator[dict]:
    for setting in _settings(entry):
        about = dict(steps=entry['steps'], tunings=entry['tunings'])
        yield dict(kind='time', name=f'time_{_setting_name(setting)}', **setting, **about)


def _largest_batch(entry: dict) -> Iterator[dict]:
    for setting in _settings(dict(entry, batch_sizes=[None])):
        setting.pop('batch_size')
        height, width = setting['size']
        for budget, method in product(entry['budgets_gib'], entry['tunings']):
            yield dict(
                kind='largest_batch',
                budget_gib=budget,
                method=method,
                **setting,
                name=f'largest_batch_{_model_name(setting)}_{height}x{width}_{setting["precision"]}_{budget}gib_{method}',
            )


def _trainings(entry: dict) -> Iterator[dict]:
    """What the requests of one model's trainings have in common."""
    for config, method in product(entry['configs'], entry['tunings']):
        yield dict(config=config, options=entry['options'], variant=entry['variant'], method=method)


def _sweep(asked: Any) -> dict | None:
    """A sweep with what it leaves out; None where none is asked for."""
    if asked is None:
        return None
    known = (*SWEEP, 'seeds', 'of', 'variant')
    if not isinstance(asked, dict) or not set(asked) <= set(known):
        found = ', '.join(asked) if isinstance(asked, dict) else asked
        raise ValueError(f'A "sweep" is a dict that may have {", ".join(known)}; found {found}.')
    sweep = {**SWEEP, **asked}
    if sweep.get('of', 'method') != 'method':
        raise ValueError(
            f'A sweep is of="method", or of all rates together where "of" is left out; found "{sweep["of"]}".'
        )
    factors = sweep['factors']
    if not isinstance(factors, (list, tuple)) or not factors or not all(map(_is_factor, factors)):
        raise ValueError(f'A sweep needs factors on the rate, all above 0, in a list; found {factors}.')
    return sweep


def _is_factor(value: Any) -> bool:
    return isinstance(value, (int, float)) and value > 0


def _accuracy(entry: dict) -> Iterator[dict]:
    sweep = _sweep(entry['sweep'])
    for run in _trainings(entry):
        method = run['method']
        name = f'{_model_name(run)}_{method}'
        of_other = sweep and 'variant' in sweep
        swept = f'{_model_name(dict(run, variant=sweep["variant"]))}_{method}' if of_other else name
        cells = []
        for factor, seed in product(sweep['factors'], sweep.get('seeds') or entry['seeds'][:1]) if sweep else ():
            of, kind = ({'factor_of': sweep['of']}, 'method-') if 'of' in sweep else ({}, '')
            cells.append(f'sweep_{swept}_{kind}x{factor:g}' + (f'_seed{seed}' if seed != entry['seeds'][0] else ''))
            if not of_other:
                about = dict(seed=seed, factor=factor, held_out=sweep['held_out'])
                yield dict(kind='sweep', name=cells[-1], **run, **about, **of)
        for seed in entry['seeds']:
            yield dict(
                kind='accuracy',
                name=f'accuracy_{name}_seed{seed}',
                **run,
                seed=seed,
                sweep=sweep and dict(sweep, cells=cells),
            )


def _trial(entry: dict) -> Iterator[dict]:
    about = {key: entry[key] for key in ('factor_of', 'steps', 'batch_size', 'views', 'label_stride', 'held_out')}
    for run in _trainings(entry):
        for factor, seed in product(entry['factors'], entry['seeds']):
            name = f'trial_{_model_name(run)}_{run["method"]}_x{factor:g}_seed{seed}'
            yield dict(kind='trial', name=name, **run, **about, factor=factor, seed=seed)


_EXPAND: dict[str, Callable[[dict], Iterator[dict]]] = dict(
    memory=_memory, time=_time, largest_batch=_largest_batch, accuracy=_accuracy, trial=_trial
)
