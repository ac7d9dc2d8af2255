"""The data sets of a config: their folders and files, and the copies that a run reads in place of files with gaps."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import DATASETS, DefaultScope

from mmest.configs import explain_build_errors, variable_behind
from mmest.datasets.checks import cache
from mmest.datasets.checks.classes import check_classes, class_names, dataset_class, innermost
from mmest.datasets.checks.coco import inspect
from mmest.datasets.checks.coco_file import Use
from mmest.datasets.checks.images import listing
from mmest.datasets.checks.masks import Pairs, check_pairs, read_names
from mmest.datasets.checks.report import contents
from mmest.datasets.ignored_boxes import knows_ignored_boxes
from mmest.files import write_bytes, write_json
from mmest.pictures.reading import reading_of


def check_data(cfg: Config, splits: Sequence[str]) -> list[str]:
    """Look at all data of a config: every annotation, the header of every image, every mask.

    Files are never changed. Where an annotation file lacks what can be computed, or holds what has to be left out, the
    config is changed in place to read a completed copy, in ``annotations`` below its ``work_dir`` (without one, below
    the cache). Data sets on remote storage are passed over.

    Args:
        cfg: a config of mmdet or mmseg.
        splits: which to check, of ``train``, ``val`` and ``test``.

    Returns:
        What was left out or filled in, one sentence each; logged as warnings too, by the first process of a machine.

    Raises:
        FileNotFoundError: a folder, an annotation file, an image or a mask is missing.
        ValueError: a file cannot be read, or what it means is in doubt; classes, heads and data do not agree.
    """
    notes: list[str] = []
    images: dict[str, set[str]] = {}
    with cache.one_process_at_a_time():
        for split in splits:
            loader = cfg.get(f'{split}_dataloader') or {}
            for dataset in innermost(loader.get('dataset')):
                said, names = _check_dataset(cfg, dataset, split)
                notes += said
                images.setdefault(split, set()).update(names)
            _check_evaluators(cfg, split)
        check_classes(cfg)
    notes = list(dict.fromkeys([*notes, *_seen_in_training(images)]))
    if os.environ.get('LOCAL_RANK', '0') == '0':
        for note in notes:
            print_log(note, 'current', logging.WARNING)
    return notes


def _seen_in_training(images: dict[str, set[str]]) -> list[str]:
    """Images of another split that are trained on too."""
    notes = []
    for split in images.keys() - {'train'}:
        both = sorted(images[split] & images.get('train', set()))
        if both:
            notes.append(
                f'{len(both)} of {len(images[split])} images of {split}_dataloader are trained on too, such as '
                f'{both[0]}: its score says how well they are remembered.'
            )
    return notes


def _is_local(path: str) -> bool:
    return '://' not in path.replace('file://', '')


def _check_dataset(cfg: Config, dataset: dict, split: str) -> tuple[list[str], list[str]]:
    """What is to be said, and the paths of the images."""
    option = f'{split}_dataloader.dataset'
    root = dataset.get('data_root') or ''
    if not _is_local(root) or dataset.get('backend_args'):
        return [f'{option} lies on remote storage and is not looked at.'], []
    if root and not Path(root).is_dir():
        raise FileNotFoundError(
            f'The data folder {Path(root).absolute()} is not there. {_how_to_set(cfg, root, option)}'
        )
    folders = {
        kind: Path(root, prefix)
        for kind, prefix in (dataset.get('data_prefix') or {}).items()
        if isinstance(prefix, str) and _is_local(prefix)
    }
    for kind, folder in folders.items():
        if not folder.is_dir():
            raise FileNotFoundError(
                f'{option} expects the folder {folder}, which is not there; {contents(folder)}. Put the data there, or '
                f'name the folder with --cfg-options {option}.data_prefix.{kind}=FOLDER.'
            )
    ann_file = dataset.get('ann_file') or ''
    path = Path(root, ann_file)
    if ann_file and _is_local(ann_file) and not path.exists():
        raise FileNotFoundError(
            f'{option} expects the annotation file {path}, which is not there; {contents(path)}. Put it there, or name '
            f'it with --cfg-options {option}.ann_file=FILE.'
        )
    reader = _reader(cfg, dataset)
    if reader == 'coco' and ann_file:
        return _check_coco(cfg, dataset, path, folders.get('img') or Path(root), split)
    if reader == 'pairs':
        return _check_pairs(cfg, dataset, option)
    kind = dataset_class(cfg, dataset)
    if kind is None:
        return [], []  # building says that there is no such class
    note = f'{option} is read by {kind.__name__} in its own way: only its folders were looked at.'
    return [note], []


def _how_to_set(cfg: Config, root: str, option: str) -> str:
    variable = variable_behind(cfg, root)
    way = f', set the environment variable {variable}, with which it begins' if variable else ''
    return f'Edit data_root in the config{way}, or pass --cfg-options {option}.data_root=FOLDER.'


def _reader(cfg: Config, dataset: dict) -> str:
    """``coco``, ``pairs``, or nothing for a class that reads files in its own way."""
    kind = dataset_class(cfg, dataset)
    method = getattr(kind, 'load_data_list', None)
    place = f'{method.__module__}.{method.__qualname__}' if method else ''
    return {
        'mmdet.datasets.coco.CocoDataset.load_data_list': 'coco',
        'mmseg.datasets.basesegdataset.BaseSegDataset.load_data_list': 'pairs',
    }.get(place, '')


def _check_coco(cfg: Config, dataset: dict, path: Path, folder: Path, split: str) -> tuple[list[str], list[str]]:
    option = f'{split}_dataloader.dataset'
    filters = dataset.get('filter_cfg') or {}
    classes = class_names(cfg, dataset, option)
    if not classes:
        raise ValueError(f'{option} names no class. Set its metainfo.classes to the names in {path}.')
    use = Use(
        option,
        classes,
        split == 'train',
        any(step.get('with_mask') for step in dataset.get('pipeline') or ()),
        bool(filters.get('filter_empty_gt')) and not dataset.get('test_mode'),
        reading_of(cfg),
        'model' not in cfg or knows_ignored_boxes(cfg.model),
    )
    files = listing(folder)
    status = path.stat()
    stamp = [str(path.absolute()), status.st_size, status.st_mtime_ns]
    key = cache.key_of(stamp, str(folder.absolute()), files, vars(use))
    copy = _copies(cfg) / f'{path.stem}_{key}.json'
    known = cache.load(key)
    if known is None or (known['changed'] and not copy.is_file()):
        file = inspect(path, folder, files, use)
        names = [one['file_name'] for one in file.content['images']]
        known = dict(notes=file.notes, changed=file.changed, images=names)
        if file.changed:
            write_json(copy, file.content, indent=None)
        cache.keep(key, known)
    if known['changed']:
        dataset['ann_file'] = str(copy)
        _redirect(cfg, split, path, copy)
    return known['notes'], [os.path.join(folder, name) for name in known['images']]


def _copies(cfg: Config) -> Path:
    work_dir = cfg.get('work_dir')
    return Path(work_dir).absolute() / 'annotations' if work_dir else cache.cache_folder() / 'annotations'


def _evaluators(cfg: Config, split: str) -> list[dict]:
    evaluator = cfg.get(f'{split}_evaluator') or []
    return [evaluator] if isinstance(evaluator, dict) else list(evaluator)


def _redirect(cfg: Config, split: str, path: Path, copy: Path) -> None:
    """A metric compares with what the data set reads."""
    for metric in _evaluators(cfg, split):
        ann_file = metric.get('ann_file')
        if ann_file and Path(ann_file).is_file() and Path(ann_file).samefile(path):
            metric['ann_file'] = str(copy)


def _check_evaluators(cfg: Config, split: str) -> None:
    option = f'{split}_dataloader.dataset'
    dataset = next(innermost((cfg.get(f'{split}_dataloader') or {}).get('dataset')), {})
    own = Path(dataset.get('data_root') or '', dataset.get('ann_file') or '')
    for metric in _evaluators(cfg, split):
        ann_file = metric.get('ann_file')
        if not ann_file or not _is_local(ann_file):
            continue
        if not Path(ann_file).is_file():
            raise FileNotFoundError(
                f'The annotation file of {split}_evaluator is not there: {ann_file}. It should be the one of '
                f'{option}; edit the config or pass --cfg-options {split}_evaluator.ann_file=FILE.'
            )
        if metric.get('type') not in ('CocoMetric', 'mmdet.CocoMetric') or not own.is_file():
            continue
        if not own.samefile(ann_file) and own.read_bytes() != Path(ann_file).read_bytes():
            raise ValueError(
                f'{split}_evaluator compares with {ann_file}, but {option} reads {own}: the score would be about other '
                f'objects. Give both the same file, such as with --cfg-options {split}_evaluator.ann_file={own}.'
            )


def _check_pairs(cfg: Config, dataset: dict, option: str) -> tuple[list[str], list[str]]:
    classes = class_names(cfg, dataset, option)
    if not classes:
        raise ValueError(f'{option} names no class. Set its metainfo.classes to the names of the numbers 0, 1, ...')
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')), explain_build_errors(cfg):
        built: Any = DATASETS.build(dict(dataset, lazy_init=True))
    names, notes = None, []
    if built.ann_file and Path(built.ann_file).is_file():
        path = Path(built.ann_file)
        names, differs = read_names(path, built.img_suffix)
        if differs:
            copy = _copies(cfg) / f'{path.stem}_{cache.key_of(names)}.txt'
            write_bytes(copy, ('\n'.join(names) + '\n').encode())
            dataset['ann_file'] = str(copy)
            notes.append(f'{path}: the run reads a copy in plain UTF-8, without endings and empty lines.')
    labels = built.data_prefix.get('seg_map_path')
    steps = [step.get('type') for step in dataset.get('pipeline') or ()]
    reads_numbers = 'LoadAnnotations' in steps or 'mmseg.LoadAnnotations' in steps
    if reads_numbers and not labels:
        raise ValueError(
            f'{option} loads masks (LoadAnnotations), but names no folder of them. Set its data_prefix.seg_map_path.'
        )
    if labels and not reads_numbers:
        notes.append(f'{option} reads its masks in its own way: their values were not looked at.')
    data = Pairs(
        option,
        Path(built.data_prefix['img_path']),
        Path(labels) if labels else None,
        built.img_suffix,
        built.seg_map_suffix,
        names,
        classes,
        bool(built.reduce_zero_label),
        built.label_map,
        built.ignore_index,
        reads_numbers,
        reading_of(cfg),
    )
    said, names = check_pairs(data)
    return notes + said, [os.path.join(data.images, name) for name in names]
