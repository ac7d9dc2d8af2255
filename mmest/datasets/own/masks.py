"""Folders of images and masks: index masks, palettes, 0 and 255, or colours with a table."""

from collections import defaultdict
from pathlib import Path

from mmest.datasets.own.image_sets import listed_splits
from mmest.datasets.own.mask_pixels import MaskReader
from mmest.datasets.own.sample import (
    IMAGE_FOLDERS,
    Notes,
    OwnData,
    Sample,
    image_files,
    size_of,
    some,
    split_of,
)

NAME = 'images and masks'
_MASKS = (
    'masks', 'mask', 'labels', 'label', 'annotations', 'ann_dir', 'gt', 'ground_truth', 'segmentationclass',
    'targets', 'target', 'annotation', 'segmentation', 'mask_png', 'labels_png',
)  # fmt: skip
_MARKS = ('mask', 'label', 'labels', 'gt', 'seg', 'm')  # image_mask.png beside image.jpg


def finds(path: Path) -> bool:
    """Whether images have masks: in a folder beside theirs, or beside them with a mark in the name."""
    return path.is_dir() and bool(_pairs(path)[0])


def _pairs(path: Path) -> tuple[dict[Path, list[Path]], list[Path]]:
    """Masks by image, and images without one.

    A mask of the image's own name goes before one with a mark in its name. Of several such those come first whose
    folders are called the simplest: ``label`` before ``label_rgb``.
    """
    files = [file for file in image_files(path) if 'SegmentationObject' not in file.parts]
    kinds = {file: _kind(file.relative_to(path)) for file in files}
    masks: dict[tuple, list[Path]] = defaultdict(list)
    for file in sorted((file for file in files if kinds[file] == 'mask'), key=lambda file: _plainness(file, path)):
        relative = file.relative_to(path)
        masks[_folders(relative), file.stem, True].append(file)
        masks[_folders(relative), _unmarked(file.stem), False].append(file)
    pairs, alone = {}, []
    for file in files:
        if kinds[file] == 'mask':
            continue
        folders = _folders(file.relative_to(path))
        found = masks.get((folders, file.stem, True)) or masks.get((folders, file.stem, False))
        if found:
            pairs[file] = found
        else:
            alone.append(file)
    return pairs, alone


def _plainness(file: Path, path: Path) -> int:
    return sum(len(_words(part)) for part in file.relative_to(path).parent.parts)


def _one_of(masks: list[Path], path: Path, notes: Notes) -> Path:
    """The mask of an image that has several."""
    if len(masks) == 1:
        return masks[0]
    first, second = (str(mask.relative_to(path)) for mask in masks[:2])
    if _plainness(masks[0], path) == _plainness(masks[1], path):
        raise ValueError(f'{path} has two masks of one image: {first} and {second}. Move one of them elsewhere.')
    notes.count('images with several masks, of which the first is taken', f'{first} before {second}')
    return masks[0]


def _kind(relative: Path) -> str:
    """By the folder's name nearest to the file, else by a mark at the end of the file's name."""
    for part in reversed(relative.parent.parts):
        words = {part.lower(), _words(part)[0], _words(part)[-1]}  # train_labels, masks-train
        if words & set(_MASKS):
            return 'mask'
        if words & set(IMAGE_FOLDERS):
            return 'image'
    return 'mask' if _unmarked(relative.stem) != relative.stem else 'image'


def _words(name: str) -> list[str]:
    return name.lower().replace('-', '_').replace(' ', '_').split('_')


def _unmarked(stem: str) -> str:
    """The name without a mark of masks at its end."""
    for joint in ('_', '-', '.'):
        head, _, last = stem.rpartition(joint)
        if head and last.lower() in _MARKS:
            return head
    return stem


def _folders(relative: Path) -> tuple[str, ...]:
    """What the folders of an image and its mask have in common: all but what says which of both it is."""
    folders = []
    for part in relative.parent.parts:
        if part.lower() in (*IMAGE_FOLDERS, *_MASKS):
            continue
        words = [word for word in _words(part) if word not in (*IMAGE_FOLDERS, *_MASKS)]
        folders.append('_'.join(words))
    return tuple(filter(None, folders))


def read(path: Path) -> OwnData:
    """Read the folder; every mask is looked at whole.

    Raises:
        FileNotFoundError: fewer images have masks than have none.
        ValueError: a mask has another size than its image, or pixels that no class explains; which of two masks is an
            image's cannot be known.
    """
    notes = Notes()
    pairs, alone = _pairs(path)
    if len(alone) > len(pairs):
        raise FileNotFoundError(
            f'{len(alone)} of {len(alone) + len(pairs)} images below {path} have no mask of the same name: '
            f'{some([str(file.relative_to(path)) for file in alone])}. Name masks like their images, in a folder '
            '"masks" beside "images".'
        )
    for file in alone:
        notes.count('images without a mask, left out', file.relative_to(path).as_posix())
    splits = listed_splits(path, 'Segmentation', {image.stem for image in (*pairs, *alone)}, notes)
    samples = []
    for image, masks in pairs.items():
        mask = _one_of(masks, path, notes)
        width, height = size_of(image)
        if size_of(mask) != (width, height):
            raise ValueError(
                f'The mask {mask} has {"×".join(map(str, size_of(mask)))} pixels, but its image {image.name} has '
                f'{width}×{height}. Export both at one size.'
            )
        relative = image.relative_to(path)
        split = splits.get(image.stem) or split_of(*relative.parent.parts)
        samples.append(Sample(image, relative.as_posix(), width, height, mask=mask, split=split))
    reader = MaskReader(path, [sample.mask for sample in samples], notes)
    return OwnData(path, NAME, reader.classes, samples, 'masks', notes, reader.read, reader.palette)
