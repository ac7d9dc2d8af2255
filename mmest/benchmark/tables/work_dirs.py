"""Records of trainings that ``mmest train`` left in work folders."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from mmengine.config import Config

from mmest.benchmark import OUTPUT
from mmest.benchmark.training import described, logged, losses
from mmest.configs import available_tunings, head_and_backbone, load_tuning, open_config

_NO_METRICS = ('lr', 'base_lr', 'data_time', 'time', 'step', 'epoch', 'iter', 'memory', 'loss')


def records_of_trainings(folder: Path) -> Iterator[dict]:
    """One record per work folder, the folder itself or one below it, in which a training of mmest was scored; it is
    like that of an accuracy cell, its folder as ``source``. Folders of cells are passed over: they have their records.
    """
    runs = {path.parents[2] for path in folder.glob('**/vis_data/scalars.json')}
    for run in sorted(run for run in runs if not (run / OUTPUT).is_file()):
        record = _record(run)
        if record:
            yield record


def told_apart(records: Sequence[dict]) -> list[dict]:
    """The records with what trainings of one method, on one model and data set, differ in beside their seeds (rate,
    length, batch, levers on memory) behind the method's name: they are no seeds of each other.
    """
    groups: dict[tuple, list[dict]] = {}
    for record in records:
        groups.setdefault(tuple(record[key] for key in ('head_and_backbone', 'dataset', 'method')), []).append(record)
    return [
        dict(record, method=_with_arguments(record['method'], _differing(record, groups[key])))
        for key in groups
        for record in groups[key]
    ]


def _differing(record: dict, group: Sequence[dict]) -> list[str]:
    schedules = [one['schedule'] for one in group]
    return [
        f'{key}={value}' if isinstance(value, str) else f'{key}={value:g}'
        for key, value in record['schedule'].items()
        if any(other.get(key) != value for other in schedules)
    ]


def _with_arguments(method: str, arguments: Sequence[str]) -> str:
    """Semicolons part them: what is behind a comma is a variant."""
    said = '; '.join(arguments)
    if not said:
        return method
    return f'{method[:-1]}; {said})' if method.endswith(')') else f'{method} ({said})'


def _schedule(cfg: Config) -> dict[str, float | str]:
    """What a training is told from others of its method by, in the words of configs."""
    found = dict(
        lr=cfg.optim_wrapper.optimizer.lr,
        lr_mult=cfg.model.backbone.tuning.get('lr_mult', 1),
        batch_size=cfg.train_dataloader.get('batch_size'),
        max_iters=cfg.train_cfg.get('max_iters'),
        max_epochs=cfg.train_cfg.get('max_epochs'),
        memory=' '.join(cfg.get('memory') or []) or None,
    )
    return {key: value for key, value in found.items() if value is not None}


def _record(run: Path) -> dict | None:
    metrics = _last_metrics(run)
    # mmengine puts the config there; of several, as of a folder that was used again, the last training's.
    config = max(run.glob('*.py'), key=lambda path: path.stat().st_mtime, default=None)
    if not metrics or not config:
        return None
    cfg = open_config(str(config))
    backbone = cfg.model.get('backbone', {})
    if backbone.get('type') != 'TunedBackbone':
        return None
    model = head_and_backbone(config.stem)
    return dict(
        kind='accuracy',
        source=str(run),
        config=config.name,
        head_and_backbone=model,
        dataset=_dataset(run, model, cfg),
        method=_method(backbone.tuning),
        tuning=backbone.tuning.to_dict(),
        seed=(cfg.get('randomness') or {}).get('seed'),
        learning_rate=cfg.optim_wrapper.optimizer.lr,
        schedule=_schedule(cfg),
        metrics=metrics,
        losses=losses(run),
        failed=False,
        **_described(config),
    )


@cache
def _described(config: Path) -> dict:
    return described(open_config(str(config)))


def _last_metrics(run: Path) -> dict:
    metrics: dict = {}
    for values in logged(run):
        if 'loss' not in values:
            metrics = {
                name: value
                for name, value in values.items()
                if name not in _NO_METRICS and isinstance(value, (int, float))
            }
    return metrics


def _dataset(run: Path, model: str, cfg: Config) -> str:
    """``mmest train`` names the folder ``<dataset>_<config>``; other folders tell by the data."""
    before, found, _ = run.name.partition(f'_{model}')
    if found and before:
        return before
    dataset = cfg.train_dataloader.dataset
    return Path(dataset.get('data_root') or dataset.type).name


def _method(tuning: dict) -> str:
    """The name of a method, with the arguments that differ from those of its file; its learning rate has a column."""
    for name in available_tunings():
        shipped = load_tuning(name)
        if shipped.type == tuning['type']:
            other = [
                f'{key}={value}'
                for key, value in sorted(tuning.items())
                if key != 'lr_mult' and shipped.get(key) != value
            ]
            return f'{name} ({", ".join(other)})' if other else name
    return tuning['type']
