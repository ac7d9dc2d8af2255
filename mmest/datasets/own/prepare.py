"""A user's data as a set that mmdet and mmseg read: COCO JSON, or lists of images and masks. The data stays."""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmest.datasets.own.detect import read
from mmest.datasets.own.levels import find_levels
from mmest.datasets.own.prepared import Prepared, as_asked, check_same_bands, description, images_of, load
from mmest.datasets.own.results import DESCRIPTION, LOCK, visible_files
from mmest.datasets.own.sample import SPLITS, UNLABELLED, OwnData, some
from mmest.datasets.own.sizes import cut_or_scale
from mmest.datasets.own.written import write_images, write_masks, write_objects
from mmest.files import write_json
from mmest.pictures.colours import class_colours
from mmest.pictures.levels import in_words

_VERSION = 6


def prepare(
    source: Path,
    out: Path,
    task: str | None = None,
    size: int | None = None,
    seed: int | None = None,
    copy: bool = False,
    trained: Path | None = None,
    bands: tuple[int, ...] | None = None,
) -> Prepared:
    """Prepare a user's data, once: what is there already from the same data is taken again.

    Args:
        source: folder or file; a prepared set is taken as it is.
        out: the folder to write; its description is written last, so a half-written one is begun again.
        task: ``detection`` or ``segmentation``; by default what the labels are for.
        size: side of tiles and of what the network sees, in pixels (default: 800 for objects, 512 for masks).
        seed: of the split (default: 0).
        copy: copy images, for a set that stands alone; otherwise they are read where they are, but for tiles, and
            linked if one of them does not lie in the folder of the data.
        trained: the prepared set that a run trained on and is to go on from; it may be the one in ``out``.
        bands: of the images that are shown; see :class:`mmest.pictures.ImageFile`.

    Raises:
        FileNotFoundError: nothing is there, or images are missing.
        ValueError: the format is unknown, labels contradict themselves, or do not suit the task; ``out`` holds the
            data, or files that are not of a prepared set; ``source`` is a prepared set, and another is asked for; an
            image that trained would no longer do so, or would show other bands.
    """
    source, out = Path(source).absolute(), Path(out).absolute()
    if (source / DESCRIPTION).is_file():
        return as_asked(source, out if copy else source, task, size, seed, bands)
    _check_out(out, source)
    key = _key(source, task, size, seed or 0, copy, bands)
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOCK).open('w') as lock:  # processes of one training prepare it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _prepare(source, out, task, size, seed, copy, key, trained, bands)


def _check_out(out: Path, source: Path) -> None:
    """Files of the user's are neither removed nor written over: a set has names that theirs may have, as train.json.

    Raises:
        ValueError: the folder holds such files, or is none.
    """
    other = 'choose a folder that is new or empty (for a training, by --work-dir)'
    if source.resolve().is_relative_to(out.resolve()):
        raise ValueError(f'The data {source} lies in {out}, where the prepared set would be written over it; {other}.')
    if out.exists() and not out.is_dir():
        raise ValueError(f'{out} is a file, and the prepared set is a folder; {other}.')
    found = sorted(entry.name for entry in out.iterdir()) if out.exists() else []
    if not {DESCRIPTION, LOCK} & set(found) and (theirs := [name for name in found if not name.startswith('.')]):
        raise ValueError(
            f'{out} holds files that are of no prepared set ({some(theirs)}) and might be written over; {other}.'
        )


def _prepare(
    source: Path,
    out: Path,
    task: str | None,
    size: int | None,
    seed: int | None,
    copy: bool,
    key: str,
    trained: Path | None,
    bands: tuple[int, ...] | None,
) -> Prepared:
    known = images_of(trained, 'train') if trained else set()
    if known:
        check_same_bands(load(trained), bands)
    if (out / DESCRIPTION).is_file() and _is_of(key, json.loads((out / DESCRIPTION).read_text())):
        _check_apart(images_of(out, 'val') | images_of(out, 'test'), known, source)
        return load(out)
    data = read(source, segments=None if task is None else task == 'segmentation', bands=bands)
    task = task or ('segmentation' if data.labels == 'masks' else 'detection')
    _check_task(data, task)
    levels = find_levels(sorted({sample.image for sample in data.samples}), bands)
    if levels:
        data.notes.say(
            f'images have not 8 bits: from black to white are {in_words(levels)}'
            f'{" in the bands that are shown" * (len(levels) == 3)}, here and in prediction'
        )
    scale, longest = cut_or_scale(data, task, size, seed or 0)
    _check_apart({sample.name for sample in data.samples if sample.split != 'train'}, known, source)
    if data.labels != 'masks' and not any(one.objects for one in data.samples if one.split == 'train'):
        raise ValueError(
            f'{source} is {data.format}, and none of the images that train has an object: the labels are missing, or '
            'lie where they are not looked for.'
        )
    classes, palette = data.classes, data.palette
    if task == 'segmentation' and data.labels != 'masks' and 'background' not in classes:
        classes = ['background', *classes]
        data.notes.say('ground outside of all outlines is the class "background"')
    if task == 'segmentation' and len(classes) > UNLABELLED:
        raise ValueError(
            f'{source} has {len(classes)} classes, background among them, but masks can hold {UNLABELLED}, as '
            f'{UNLABELLED} is ignored in them. Put rare ones together.'
        )
    if task == 'segmentation':
        for sample in data.samples:
            for _ in filter(lambda one: one.shape is None and not one.ignore, sample.objects):
                data.notes.count('boxes without an outline, whose ground is ignored', sample.name)
    palette = class_colours(classes, palette).tolist()
    tiled = any(sample.window for sample in data.samples)
    (out / DESCRIPTION).unlink(missing_ok=True)
    for split in SPLITS:
        _remove(out, split)
    linked = not (copy or tiled) and not all(sample.image.is_relative_to(data.root) for sample in data.samples)
    images = out / 'images' if copy or tiled or linked else data.root
    if images != data.root:
        write_images(data.samples, images, levels, os.symlink if linked else shutil.copyfile)
    counts = {}
    for split in SPLITS:
        samples = [sample for sample in data.samples if sample.split == split]
        if samples:
            counts[split] = len(samples)
            if task == 'detection':
                write_objects(out / f'{split}.json', data.classes, samples)
            else:
                write_masks(out, split, samples, data, classes)
    prepared = Prepared(
        out, task, data.format, source, classes, [tuple(c) for c in palette[: len(classes)]], images, counts, longest,
        scale, levels, data.notes.lines(), bands, tiled,
    )  # fmt: skip
    elsewhere = {str(folder): _digest_of(_files_in(folder)) for folder in data.elsewhere}
    asked = dict(size=size, seed=seed or 0)
    write_json(out / DESCRIPTION, dict(description(prepared), key=key, elsewhere=elsewhere, asked=asked))
    return prepared


def _check_apart(validating: set[str], trained: set[str], source: Path) -> None:
    if both := sorted(validating & trained):
        raise ValueError(
            f'{source} has changed, and {len(both)} of the images that the run to go on with trained on would now '
            f'validate or test ({some(both)}): scores would be too good. Put the data back as it was, or train anew: '
            'leave --resume out, and take another --work-dir.'
        )


def _remove(out: Path, split: str) -> None:
    """A split of an earlier set: its lists, and the tiles and masks that they name."""
    names: set[str] = set()
    with contextlib.suppress(ValueError, KeyError):  # of a file that is damaged nothing is known
        names = images_of(out, split)
    for name in names:
        for path in (out / 'images' / name, out / 'masks' / f'{name}.png'):
            if path.is_relative_to(out) and '..' not in Path(name).parts:
                path.unlink(missing_ok=True)
    for form in ('json', 'txt'):
        (out / f'{split}.{form}').unlink(missing_ok=True)


def _check_task(data: OwnData, task: str) -> None:
    if task == 'detection' and data.labels == 'masks':
        raise ValueError(
            f'{data.root} has masks, which segmentation models learn: choose --model upernet, segformer or fcn.'
        )
    if task == 'segmentation' and data.labels == 'boxes':
        raise ValueError(
            f'{data.root} has boxes without outlines, which detection models learn: choose --model faster-rcnn or '
            'retinanet.'
        )


def _key(source: Path, *choices: object) -> str:
    """Changes when a file of the data does."""
    files = visible_files(source if source.is_dir() else source.parent)
    return _digest_of(files, repr((_VERSION, str(source), *choices)))


def _digest_of(files: Iterable[Path], about: str = '') -> str:
    """Of names, sizes and times, and so without reading all images."""
    digest = hashlib.blake2b(about.encode(), digest_size=16)
    for path in sorted(files):
        stat = path.stat()
        digest.update(f'{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n'.encode())
    return digest.hexdigest()


def _is_of(key: str, found: dict) -> bool:
    """Whether a set was prepared from the data as it is now, outside of its folder too."""
    elsewhere = found.get('elsewhere', {})
    return found.get('key') == key and all(
        _digest_of(_files_in(Path(folder))) == seen for folder, seen in elsewhere.items()
    )


def _files_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob('*') if path.is_file())
