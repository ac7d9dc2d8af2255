"""Folders of images and masks: index masks, palettes, 0 and 255, or colours with a table."""

from pathlib import Path

from mmest.datasets.own.mask_pixels import MaskReader
from mmest.datasets.own.sample import Notes, OwnData, Sample, image_files, size_of, some, split_of

NAME = 'images and masks'
_IMAGES = ('images', 'image', 'imgs', 'img', 'img_dir', 'jpegimages', 'rgb', 'tiles', 'patches', 'src', 'input')
_MASKS = (
    'masks', 'mask', 'labels', 'label', 'annotations', 'ann_dir', 'gt', 'ground_truth', 'segmentationclass',
    'targets', 'target', 'annotation', 'segmentation', 'mask_png', 'labels_png',
)  # fmt: skip
_MARKS = ('mask', 'label', 'labels', 'gt', 'seg', 'm')  # image_mask.png beside image.jpg


def finds(path: Path) -> bool:
    """Whether images have masks: in a folder beside theirs, or beside them with a mark in the name."""
    return path.is_dir() and bool(_pairs(path)[0])


def _pairs(path: Path) -> tuple[dict[Path, Path], list[Path]]:
    """Masks by image, and images without one."""
    files = [file for file in image_files(path) if 'SegmentationObject' not in file.parts]
    kinds = {file: _kind(file.relative_to(path)) for file in files}
    masks: dict[tuple, Path] = {}
    for file in files:
        if kinds[file] == 'mask':
            masks[_key(file.relative_to(path))] = file
    pairs, alone = {}, []
    for file in files:
        if kinds[file] == 'mask':
            continue
        folder, stem = _key(file.relative_to(path))
        mask = masks.get((folder, stem))
        if mask:
            pairs[file] = mask
        else:
            alone.append(file)
    return pairs, alone


def _kind(relative: Path) -> str:
    """By the folder's name nearest to the file, else by a mark at the end of the file's name."""
    for part in reversed(relative.parent.parts):
        words = {part.lower(), _words(part)[0], _words(part)[-1]}  # train_labels, masks-train
        if words & set(_MASKS):
            return 'mask'
        if words & set(_IMAGES):
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


def _key(relative: Path) -> tuple[tuple[str, ...], str]:
    """What an image and its mask have in common: folders but those that say which of both it is, and the name."""
    folders = []
    for part in relative.parent.parts:
        if part.lower() in (*_IMAGES, *_MASKS):
            continue
        words = [word for word in _words(part) if word not in (*_IMAGES, *_MASKS)]
        folders.append('_'.join(words))
    return tuple(filter(None, folders)), _unmarked(relative.stem)


def read(path: Path) -> OwnData:
    """Read the folder; every mask is looked at whole.

    Raises:
        FileNotFoundError: fewer images have masks than have none.
        ValueError: a mask has another size than its image, or pixels that no class explains.
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
        notes.count('images without a mask, left out', file.name)
    lists = _image_sets(path)
    samples = []
    for image, mask in pairs.items():
        width, height = size_of(image)
        if size_of(mask) != (width, height):
            raise ValueError(
                f'The mask {mask} has {"×".join(map(str, size_of(mask)))} pixels, but its image {image.name} has '
                f'{width}×{height}. Export both at one size.'
            )
        relative = image.relative_to(path)
        split = lists.get(image.stem) or split_of(*relative.parent.parts)
        samples.append(Sample(image, relative.as_posix(), width, height, mask=mask, split=split))
    reader = MaskReader(path, list(pairs.values()), notes)
    return OwnData(path, NAME, reader.classes, samples, 'masks', notes, reader.read, reader.palette)


def _image_sets(path: Path) -> dict[str, str]:
    """The split of each name, of ImageSets/Segmentation."""
    splits: dict[str, str] = {}
    for file in sorted(path.glob('**/ImageSets/Segmentation/*.txt')):
        split = split_of(file.stem)
        if split and file.stem.lower() != 'trainval':
            for line in file.read_text(encoding='utf-8-sig').splitlines():
                if line.strip():
                    splits.setdefault(Path(line.split()[0]).name, split)
    return splits
