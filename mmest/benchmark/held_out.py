"""A part of the training data to choose learning rates on, so that the validation data stays unseen until the end."""

import hashlib
import json
import re
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmest.config_parts import kind_of
from mmest.files import write_bytes

_PLACE = re.compile(r'(_+\d+){2,4}$')
#: Files of whole pictures, which merged detections are scored on, and of the patches that were cut from them.
_WHOLE, _PATCHES = '_images.json', '_patches.json'
_WRAPPERS = ('RepeatDataset', 'ClassBalancedDataset', 'MultiImageMixDataset')


def is_held_out(identity: object, share: float) -> bool:
    """Whether an image of this id or name is held out: always the same, whatever the others are."""
    digest = hashlib.sha256(str(identity).encode()).digest()
    return int.from_bytes(digest[:8], 'big') < share * 2**64


def picture_of(name: str) -> str:
    """The picture that a tile was cut from: the name of the tile without its place, two to four numbers at the end, as
    ``P0006__824__0``, ``2_10_0_0_512_512`` and ``P0001__1024__0___0`` have them. Other names are returned as they are.
    """
    return _PLACE.sub('', name)


def hold_out(cfg: Config, which: float | Sequence[str], folder: Path) -> None:
    """Have a config train on one part of its training data and validate on the other, in place.

    Annotation files in COCO format are split by image id, lists of names and folders by name. Tiles stay with their
    picture (:func:`picture_of`): they overlap, and a method that learns them by heart would look good. The two parts
    are files in ``folder``, which the data sets read by their own option ``ann_file``. The pipelines stay what they
    are.

    Args:
        cfg: a config with a training and a validation data set.
        which: the share of images that is held out, or of the pictures that tiles were cut from, between 0 and 1; or
            patterns of their names, as a shell has them, where names tell that images lie side by side.
        folder: where the files go, under a name by what they hold: trainings on the same parts may share it. The data
            itself is only read.

    Raises:
        ValueError: the training data cannot be split, or one part would be empty.
    """
    train, validation = _innermost(cfg.train_dataloader.dataset), cfg.val_dataloader.dataset
    if train.get('indices') is not None:
        raise ValueError(
            'A part of the training data should be held out of all of it, but the config trains on some of its images '
            '(indices). Choose the rate by the sweep of a variant that trains on all.'
        )
    path = Path(train.get('data_root') or '', train.get('ann_file') or '')
    fit, held = _split(cfg, train, which, folder)
    pipeline, kept = validation.pipeline, {key: validation[key] for key in ('type', 'test_mode') if key in validation}
    for key in ('filter_cfg', 'indices'):
        validation.pop(key, None)
    for key, value in train.items():
        if key not in ('pipeline', 'filter_cfg', 'indices'):
            validation[key] = value
    validation.update(kept, pipeline=pipeline, ann_file=str(held))
    train.ann_file = str(fit)
    evaluators = cfg.val_evaluator if isinstance(cfg.val_evaluator, (list, tuple)) else [cfg.val_evaluator]
    for evaluator in evaluators:
        if evaluator.get('ann_file', '').endswith(_WHOLE):
            evaluator['ann_file'] = str(_truth_of_pictures(path, held))
        elif evaluator.get('ann_file'):
            evaluator['ann_file'] = str(held)


def _innermost(dataset: dict) -> dict:
    while kind_of(dataset) in _WRAPPERS:
        dataset = dataset['dataset']
    if 'datasets' in dataset or 'dataset' in dataset:
        raise ValueError(
            f'A part of the training data cannot be held out of a {dataset.type}. Sweep on one of its data sets '
            'by a config of its own, or set sweep=None and choose the rate by hand.'
        )
    return dataset


def _split(cfg: Config, dataset: dict, which: float | Sequence[str], folder: Path) -> tuple[Path, Path]:
    ann_file = dataset.get('ann_file') or ''
    path = Path(dataset.get('data_root') or '', ann_file)
    if path.suffix == '.json':
        content = json.loads(path.read_text())
        images = content['images']
        names, identities = [_name(image) for image in images], [_identity(image) for image in images]
        parts = _parts(images, names, identities, which)
        return _write(folder, '.json', {part: json.dumps(_of_images(content, some)) for part, some in parts.items()})
    names = path.read_text().split() if ann_file and path.is_file() else _names_in_folder(cfg, dataset)
    parts = _parts(names, names, [picture_of(name) for name in names], which)
    return _write(folder, '.txt', {part: '\n'.join(some) + '\n' for part, some in parts.items()})


def _truth_of_pictures(patches: Path, held: Path) -> Path:
    """The annotations of the whole pictures that held-out patches were cut from, beside the file of these.

    Args:
        patches: annotation file of all training patches, beside which that of the pictures lies.
        held: annotation file of the held-out patches.
    """
    names = {picture_of(Path(image['file_name']).stem) for image in json.loads(held.read_text())['images']}
    content = json.loads(patches.with_name(patches.name.replace(_PATCHES, _WHOLE)).read_text())
    images = [image for image in content['images'] if Path(image['file_name']).stem in names]
    truth = held.with_name(f'held{_WHOLE}')
    write_bytes(truth, json.dumps(_of_images(content, images)).encode())
    return truth


def _name(image: dict) -> str:
    return str(Path(image['file_name']).with_suffix(''))


def _identity(image: dict) -> object:
    name = _name(image)
    picture = picture_of(name)
    return image['id'] if picture == name else picture


def _parts(
    items: Sequence, names: Sequence[str], identities: Sequence, which: float | Sequence[str]
) -> dict[str, list]:
    parts: dict[str, list] = dict(fit=[], held=[])
    for item, name, identity in zip(items, names, identities):
        if isinstance(which, float):
            held = is_held_out(identity, which)
        else:
            held = any(fnmatch(name, pattern) for pattern in which)
        parts['held' if held else 'fit'].append(item)
    if not all(parts.values()):
        some = f'{which:.0%}' if isinstance(which, float) else f'those named {", ".join(which)}'
        raise ValueError(
            f'Of {len(identities)} training images from {len(set(identities))} pictures, holding out {some} leaves one '
            'part without any. Choose others.'
        )
    return parts


def _of_images(content: dict, images: list[dict]) -> dict:
    ids = {image['id'] for image in images}
    return dict(content, images=images, annotations=[a for a in content['annotations'] if a['image_id'] in ids])


def _names_in_folder(cfg: Config, dataset: dict) -> list[str]:
    """Names of the images of a data set that is a folder, as its list of names would have them."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        built = DATASETS.build(dict(dataset, lazy_init=True))
    folder, suffix = built.data_prefix.get('img_path'), getattr(built, 'img_suffix', None)
    if not folder or not suffix:
        raise ValueError(
            f'{dataset["type"]} names neither an annotation file nor a folder of images (img_path) with an '
            'ending (img_suffix): its training data cannot be split. Set sweep=None and choose the rate by hand.'
        )
    return sorted(path.relative_to(folder).as_posix()[: -len(suffix)] for path in Path(folder).rglob(f'*{suffix}'))


def _write(folder: Path, suffix: str, parts: dict[str, str]) -> tuple[Path, Path]:
    digest = hashlib.sha256((parts['fit'] + parts['held']).encode()).hexdigest()[:16]
    fit, held = ((folder / digest / f'{part}{suffix}').absolute() for part in ('fit', 'held'))
    for path, part in ((fit, 'fit'), (held, 'held')):
        write_bytes(path, parts[part].encode())
    return fit, held
