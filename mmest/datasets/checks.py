"""Whether the data that a config names is there, looked at before anything is built."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from PIL import Image

from mmest.configs import variable_behind

_SHOWN = 3
_MASKS_READ = 32


def check_data(cfg: Config, splits: Sequence[str]) -> None:
    """Check folders, annotation files and the images that they name.

    Data sets on remote storage are passed over.

    Args:
        cfg: a config of mmdet or mmseg.
        splits: which to check, of ``train``, ``val`` and ``test``.

    Raises:
        FileNotFoundError: a folder, an annotation file, an image or a mask is missing.
        ValueError: an annotation file, or one of the first masks, holds other classes than the config.
    """
    for split in splits:
        loader = cfg.get(f'{split}_dataloader') or {}
        option = f'{split}_dataloader.dataset'
        for dataset in _datasets(loader.get('dataset')):
            _check_dataset(cfg, dataset, option)
        evaluator = cfg.get(f'{split}_evaluator') or []
        for metric in [evaluator] if isinstance(evaluator, dict) else evaluator:
            ann_file = metric.get('ann_file')
            if ann_file and _is_local(ann_file) and not Path(ann_file).is_file():
                raise FileNotFoundError(
                    f'The annotation file of {split}_evaluator is not there: {ann_file}. It should be the one of '
                    f'{option}; edit the config or pass --cfg-options {split}_evaluator.ann_file=FILE.'
                )


def _datasets(dataset: dict | None) -> Iterator[dict]:
    """The data sets inside wrappers such as ConcatDataset and RepeatDataset."""
    if not dataset:
        return
    inner = dataset.get('datasets') or ([dataset['dataset']] if dataset.get('dataset') else [])
    if not inner:
        yield dataset
    for one in inner:
        yield from _datasets(one)


def _is_local(path: str) -> bool:
    return '://' not in path.replace('file://', '')


def _check_dataset(cfg: Config, dataset: dict, option: str) -> None:
    root = dataset.get('data_root') or ''
    if not _is_local(root) or dataset.get('backend_args'):
        return
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
                f'{option} expects the folder {folder}, which is not there; {_listing(folder)}. Put the data there, or '
                f'name the folder with --cfg-options {option}.data_prefix.{kind}=FOLDER.'
            )
    ann_file = dataset.get('ann_file') or ''
    path = Path(root, ann_file)
    if ann_file and _is_local(ann_file) and not path.is_file():
        raise FileNotFoundError(
            f'{option} expects the annotation file {path}, which is not there; {_listing(path)}. Put it there, or name '
            f'it with --cfg-options {option}.ann_file=FILE.'
        )
    if path.suffix == '.json':
        _check_coco(path, folders.get('img'), dataset, option)
    elif 'seg_map_path' in folders and not ann_file:
        _check_masks(folders, dataset, option)


def _how_to_set(cfg: Config, root: str, option: str) -> str:
    variable = variable_behind(cfg, root)
    way = f', set the environment variable {variable}, with which it begins' if variable else ''
    return f'Edit data_root in the config{way}, or pass --cfg-options {option}.data_root=FOLDER.'


def _listing(missing: Path) -> str:
    """What there is instead: the contents of the nearest folder above that exists."""
    folder = next(parent for parent in missing.absolute().parents if parent.is_dir())
    names = sorted(path.name for path in folder.iterdir())
    more = f' and {len(names) - 6} more' if len(names) > 6 else ''
    return f'{folder} holds {", ".join(names[:6]) or "nothing"}{more}'


def _some(names: list[str]) -> str:
    return ', '.join(names[:_SHOWN]) + (', ...' if len(names) > _SHOWN else '')


def _check_coco(path: Path, images: Path | None, dataset: dict, option: str) -> None:
    try:
        content = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f'{path} is not valid JSON: {error}. Copy or export it again.') from error
    if not isinstance(content, dict) or not {'images', 'categories'} <= content.keys():
        return  # JSON of another form, which its data set reads in its own way
    wanted = (dataset.get('metainfo') or {}).get('classes') or ()
    wanted = [wanted] if isinstance(wanted, str) else wanted
    found = [category['name'] for category in content['categories']]
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise ValueError(
            f'{path} has the classes {", ".join(found)}, but {option} asks for {_some(unknown)}, which is not among '
            'them: its boxes would be left out. Correct "classes" in the config; the names must match exactly.'
        )
    if images is None:
        return
    names = [image['file_name'] for image in content['images']]
    present = {entry.name for entry in os.scandir(images)}
    missing = [name for name in names if name not in present and not (images / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{path} names {len(names)} images, of which {len(missing)} are not in {images}: {_some(missing)}. '
            'Complete the '
            f'folder, or name the right one with --cfg-options {option}.data_prefix.img=FOLDER.'
        )


def _check_masks(folders: dict, dataset: dict, option: str) -> None:
    """Every image of a folder has its mask. Data sets that define their file suffixes in code are passed over."""
    images, masks = folders.get('img_path'), folders['seg_map_path']
    suffix, mask_suffix = dataset.get('img_suffix'), dataset.get('seg_map_suffix')
    if images is None or suffix is None or mask_suffix is None:
        return
    names = sorted(str(path.relative_to(images)) for path in images.rglob(f'*{suffix}'))
    if not names:
        raise FileNotFoundError(
            f'{option} expects images *{suffix} in {images}, but there are none; {_listing(images / "x")}. Name the '
            f'ending with --cfg-options {option}.img_suffix=.ENDING.'
        )
    missing = [name for name in names if not (masks / (name[: -len(suffix)] + mask_suffix)).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(names)} images in {images} have no mask *{mask_suffix} in {masks}, such as '
            f'{_some(missing)}. Complete the folder, or name the ending with --cfg-options '
            f'{option}.seg_map_suffix=ENDING.'
        )
    _check_mask_values([masks / (name[: -len(suffix)] + mask_suffix) for name in names[:_MASKS_READ]], dataset, option)


def _check_mask_values(paths: Sequence[Path], dataset: dict, option: str) -> None:
    """Pixels are class numbers. Data sets with a class of their own may translate them, and are passed over."""
    classes = (dataset.get('metainfo') or {}).get('classes')
    if dataset.get('type') != 'BaseSegDataset' or dataset.get('reduce_zero_label') or not classes:
        return
    for path in paths:
        try:
            with Image.open(path) as picture:
                pixels = np.asarray(picture)
        except OSError as error:
            raise ValueError(f'The mask {path} cannot be read: {error}. Copy or export it again.') from error
        if pixels.ndim != 2:
            raise ValueError(
                f'The mask {path} is a colour picture. Masks have one channel, whose pixels are class numbers: '
                'convert them.'
            )
        unknown = [int(value) for value in np.unique(pixels) if value >= len(classes) and value != 255]
        if unknown:
            raise ValueError(
                f'The mask {path} has pixels of value {_some([str(value) for value in unknown])}, but {option} has '
                f'{len(classes)} classes, numbered 0 to {len(classes) - 1} (255 is ignored). Complete "classes" in '
                'the config, '
                'or convert the masks.'
            )
