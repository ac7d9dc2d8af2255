"""Names of classes: those that a data set goes by, and whether the heads have as many."""

from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS

from mmest.config_parts import parts_of
from mmest.datasets.checks.report import some
from mmest.frameworks import import_framework

# Parts of a model whose num_classes is not that of the data.
_OTHER_PARTS = ('backbone', 'rpn_head', 'semantic_head', 'data_preprocessor', 'train_cfg', 'test_cfg')


def dataset_class(cfg: Config, dataset: dict) -> type | None:
    """The class of a data set; None if nothing of that name is registered, which building says."""
    kind = dataset.get('type')
    if isinstance(kind, type):
        return kind
    scope = cfg.get('default_scope')
    if scope:
        import_framework(cfg)
    with DATASETS.switch_scope_and_registry(scope) as registry:
        return registry.get(kind) if kind else None


def class_names(cfg: Config, dataset: dict, option: str) -> tuple[str, ...]:
    """The classes of a data set in the order of their numbers; none if it has no names.

    Raises:
        ValueError: a text stands where a tuple is expected, or a name is there twice.
    """
    stated = (dataset.get('metainfo') or {}).get('classes')
    if stated is None:
        stated = (getattr(dataset_class(cfg, dataset), 'METAINFO', None) or {}).get('classes') or ()
    if isinstance(stated, str):
        if not Path(stated).is_file():
            raise ValueError(
                f'{option}.metainfo.classes is the text {stated!r}, of which every letter would be a class. Write '
                f'classes = ({stated!r},): the comma makes it a tuple.'
            )
        stated = Path(stated).read_text().split('\n')
        stated = stated[:-1] if stated[-1] == '' else stated
    names = tuple(stated)
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ValueError(f'{option}.metainfo.classes names {some(twice)} more than once. Name each class once.')
    return names


def innermost(dataset: dict | None) -> Iterator[dict]:
    """The data sets inside wrappers such as ConcatDataset and RepeatDataset."""
    if not dataset:
        return
    inner = dataset.get('datasets') or ([dataset['dataset']] if dataset.get('dataset') else [])
    if not inner:
        yield dataset
    for one in inner:
        yield from innermost(one)


def check_classes(cfg: Config) -> None:
    """Heads and data sets have the same classes, and weights of classes are as many.

    Args:
        cfg: a config of mmdet or mmseg.

    Raises:
        ValueError: two data sets have other classes, a head has another number of them, or of their weights.
    """
    found = {}
    for split in ('train', 'val', 'test'):
        option = f'{split}_dataloader.dataset'
        for dataset in innermost((cfg.get(f'{split}_dataloader') or {}).get('dataset')):
            if names := class_names(cfg, dataset, option):
                found.setdefault(names, option)
    if len(found) > 1:
        (first, option), (second, other) = list(found.items())[:2]
        raise ValueError(
            f'{option} has the classes {some(first, 8)}, but {other} has {some(second, 8)}: a number would stand for '
            'two classes. Give both the same names in the same order; files are matched by name.'
        )
    model = cfg.get('model') or {}
    if 'language_model' in model:
        return  # its heads count words
    for names, option in found.items():
        for key, part in parts_of(model, 'model', without=_OTHER_PARTS):
            if 'num_classes' in part or 'num_things_classes' in part:
                _check_head(key, part, names, option)


def _check_head(key: str, head: dict, names: tuple[str, ...], option: str) -> None:
    if 'num_classes' in head:
        name, number = 'num_classes', head['num_classes']
    else:
        name, number = 'num_things_classes', head['num_things_classes'] + head.get('num_stuff_classes', 0)
    if number != len(names):
        raise ValueError(
            f'The head has {number} classes ({key}.{name}), but {option} has {len(names)}: {some(names, 8)}. Set '
            f'{key}.{name}={len(names)}, or correct the classes of the data.'
        )
    losses = head.get('loss_decode') or []
    for loss in [losses] if isinstance(losses, dict) else losses:
        weights = loss.get('class_weight')
        if loss.get('type') != 'CrossEntropyLoss' or weights is None or isinstance(weights, str):
            continue
        if not isinstance(weights, (list, tuple)) or len(weights) != len(names):
            raise ValueError(
                f'{key}.loss_decode.class_weight should be {len(names)} numbers, one for each of {some(names, 8)}, but '
                f'it is {weights}.'
            )
