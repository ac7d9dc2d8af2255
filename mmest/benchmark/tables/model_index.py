"""The index of trained models, in the form that mim and OpenMMLab's sites read: ``model-index.yml`` and metafiles."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import yaml

from mmest.configs import find_config, load_tuning
from mmest.configs.names import shipped_configs
from mmest.files import write_bytes
from mmest.registry import TUNINGS

from .results import Result
from .rows import methods_in_order, unique, without_variants
from .scores import metric_of, scores
from .table import Spread

INDEX, METAFILE = 'model-index.yml', 'metafile.yml'
_HEAD = '# Made by mmest tables from records of trainings. A figure is the mean over the seeds.\n'
_TASKS = dict(detection='Object Detection', segmentation='Semantic Segmentation')


def index_files(results: Sequence[Result]) -> dict[str, str]:
    """The index and its metafiles: one of the collections, which are tuning methods, and one for each data set with the
    shipped configs that were trained on it; a model is a head and a backbone under a method.

    Args:
        results: of any kinds; those of trainings of shipped configs count.

    Returns:
        Texts by path, relative to the repository.
    """
    runs = [result for result in results if result.kind == 'accuracy' and not result.error]
    models = defaultdict(list)
    for dataset, model in unique((run.dataset, run.model) for run in runs):
        mine = [run for run in runs if (run.dataset, run.model) == (dataset, model)]
        for method in without_variants(methods_in_order(mine)):
            entry = _model([run for run in mine if run.method == method], f'{dataset}_{model}_{method}')
            if entry:
                models[str(Path(entry['Config']).with_name(METAFILE))].append(entry)
    methods = sorted({entry['In Collection'] for entries in models.values() for entry in entries})
    files = {f'configs/_base_/tunings/{METAFILE}': _text(dict(Collections=[_collection(name) for name in methods]))}
    files |= {path: _text(dict(Models=entries)) for path, entries in sorted(models.items())}
    return {INDEX: _text(dict(Import=list(files))), **files}


def write_index(results: Sequence[Result], root: Path) -> None:
    """Write the index and its metafiles, and remove the metafiles of what has no records any more.

    Args:
        results: as for :func:`index_files`.
        root: the repository.
    """
    files = index_files(results)
    for old in (root / 'configs').glob(f'*/*/{METAFILE}'):
        if str(old.relative_to(root)) not in files:
            old.unlink()
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(root / path, text.encode())


def _model(runs: Sequence[Result], name: str) -> dict | None:
    """What there is to say of one config under one method; None if the config is not shipped."""
    record = runs[0].values
    try:
        found = find_config(record['config'])
    except FileNotFoundError:
        return None
    config = f'{record["task"]}/{runs[0].dataset}/{found.path.stem}'
    score = scores(runs, runs[0].method)
    if config not in shipped_configs() or not isinstance(score, Spread):
        return None
    backbone = runs[0].model.removeprefix(f'{found.path.stem}_')
    length = re.search(r'\bmax_(epochs|iters)=(\d+)', record.get('config_text', ''))
    trained = {dict(epochs='Epochs', iters='Iterations')[length[1]]: int(length[2])} if length else {}
    result = {
        'Task': _TASKS[record['task']],
        'Dataset': runs[0].dataset,
        'Metrics': {metric_of(runs).rpartition('/')[2]: round(score.mean, 2)},
    }
    return {
        'Name': name,
        'In Collection': load_tuning(runs[0].method).type,
        'Config': f'configs/{config}.py',
        'Metadata': {'Backbone': backbone, **trained, 'Seeds': score.seeds},
        'Results': [result],
    }


def _collection(method: str) -> dict:
    module = TUNINGS.get(method).__module__
    return {
        'Name': method,
        'Metadata': {'Source': TUNINGS.get(method).source, 'Code': f'{module.replace(".", "/")}.py'},
        'README': 'docs/methods.md',
    }


def _text(content: dict) -> str:
    return _HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
