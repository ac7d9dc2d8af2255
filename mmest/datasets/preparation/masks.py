"""Colour masks as class numbers, and pairs of image and mask as patches."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mmest.datasets.preparation.images import crop, open_image, write_png
from mmest.datasets.preparation.problems import DamagedInput
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import Done, Job
from mmest.tiles.grid import Box, tiles

Colour = tuple[int, int, int]
# A colour this close to that of a class, in its channel that differs most, is taken for it.
_NEAR = 16
# A larger share of other colours is damage, such as lossy compression or another palette; a smaller one is ignored.
_STRAY = 0.001
_ROWS = 512
_SHOWN = 8


def class_numbers(rgb: np.ndarray, palette: dict[Colour, int], other: int) -> np.ndarray:
    """Class numbers of colours, H×W.

    Args:
        rgb: H×W×3.
        palette: class numbers by colour.
        other: the number of colours that are near none of them.
    """
    codes = rgb.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    numbers = np.full(codes.shape, other, np.uint8)
    rest = np.ones(codes.shape, bool)
    for (red, green, blue), number in palette.items():
        equal = codes == (red << 16 | green << 8 | blue)
        numbers[equal] = number
        rest &= ~equal
    if rest.any():
        distance = np.abs(rgb[rest][:, None].astype(int) - np.array(list(palette))).max(-1)
        numbers[rest] = np.where(distance.min(1) <= _NEAR, np.array(list(palette.values()))[distance.argmin(1)], other)
    return numbers


def read_mask(file: SourceFile, out: Path, palette: dict[Colour, int], other: int) -> tuple[np.ndarray, int]:
    """A colour mask as class numbers, and how many of its pixels have the colour of none.

    Raises:
        DamagedInput: it is no whole image, has too many pixels of other colours, or grey levels in place of colours.
    """
    greys = {red for red, green, blue in palette if red == green == blue}
    with open_image(file, out) as image:
        numbers = np.empty((image.height, image.width), np.uint8)
        stray, colours, levels, coloured = 0, set(), set(), False
        for top in range(0, image.height, _ROWS):
            rgb = crop(image, (0, top, image.width, min(top + _ROWS, image.height)))
            band = class_numbers(rgb, palette, 254)
            wrong = band == 254
            colours.update(map(tuple, rgb[wrong][:3].tolist()))
            stray += int(wrong.sum())
            if not coloured:
                coloured = bool((rgb != rgb[..., :1]).any())
                levels.update(np.unique(rgb[..., 0]).tolist())
            numbers[top : top + len(band)] = np.where(wrong, other, band)
    if not coloured and levels - greys:  # numbers of classes are all near black
        raise DamagedInput(
            f'has the mask {file.place} of grey levels ({", ".join(map(str, sorted(levels)[:_SHOWN]))}), which may be '
            "numbers of classes, in place of the publisher's colours"
        )
    if stray > _STRAY * numbers.size:
        raise DamagedInput(
            f'has the mask {file.place}, of whose pixels {100 * stray / numbers.size:.1f} % have colours of no '
            f'class, such as {sorted(colours)[0]}'
        )
    return numbers, stray


def cut_pair(
    job: Job,
    out: Path,
    palette: dict[Colour, int],
    classes: dict[int, str],
    size: int,
    overlap: int,
    name: Callable[[str, Box], str],
    mask_ending: str,
    other: int,
    pad: bool,
) -> Done:
    """Cut an image and its colour mask into patches, in ``img_dir`` and ``ann_dir``.

    Args:
        job: the pair.
        out: the output folder.
        palette: class numbers by colour.
        classes: names by class number, for the counts; other numbers are not counted.
        size: side of a patch.
        overlap: of patches.
        name: file name of a patch without its ending.
        mask_ending: ending of the file name of its mask.
        other: the number of pixels that are ignored.
        pad: whether a patch of a smaller image is filled up to ``size``.

    Raises:
        DamagedInput: the image or its mask cannot be used.
    """
    mask, stray = read_mask(job.label, out, palette, other)
    done = Done()
    with open_image(job.picture, out) as image:
        if image.size != mask.shape[::-1]:
            raise DamagedInput(
                f'has {image.width}×{image.height} pixels, but its mask {job.label.place} '
                f'{mask.shape[1]}×{mask.shape[0]}'
            )
        boxes = tiles(*image.size, size, overlap)
        for x0, y0, x1, y1 in boxes:
            pixels, numbers = crop(image, (x0, y0, x1, y1)), mask[y0:y1, x0:x1]
            if pad:
                right, below = size - (x1 - x0), size - (y1 - y0)
                pixels = np.pad(pixels, ((0, below), (0, right), (0, 0)))
                numbers = np.pad(numbers, ((0, below), (0, right)), constant_values=other)
                x1, y1 = x0 + size, y0 + size
            stem = name(job.key, (x0, y0, x1, y1))
            for path, content in (
                (f'img_dir/{job.split}/{stem}.png', pixels),
                (f'ann_dir/{job.split}/{stem}{mask_ending}', numbers),
            ):
                write_png(out / path, content)
                done.outputs.append(path)
    done.counts = dict(images=1, patches=len(boxes), **({'pixels of unknown colour': stray} if stray else {}))
    done.classes = pixels_per_class(mask, classes)
    return done


def pixels_per_class(mask: np.ndarray, classes: dict[int, str]) -> dict[str, int]:
    """Pixels of each class that is there, by its name."""
    counts = np.bincount(mask.ravel(), minlength=256)
    return {name: int(counts[number]) for number, name in classes.items() if counts[number]}


def pair(
    pictures: Mapping[str, SourceFile | None],
    masks: Mapping[str, SourceFile | None],
    splits: dict[str, Sequence[str]],
) -> tuple[list[Job], list[tuple[str, str]]]:
    """Jobs of the images that have masks, and the keys of a split whose image or mask is missing.

    Args:
        pictures: by key; None where one is there that cannot be used, which is said elsewhere.
        masks: likewise.
        splits: the keys of each split.

    Returns:
        The jobs, and (key, ``picture`` or ``mask``) of what is missing.
    """
    jobs, missing = [], []
    for split, keys in splits.items():
        for key in keys:
            picture, mask = pictures.get(key), masks.get(key)
            if picture and mask:
                jobs.append(Job(key, split, picture, mask))
            else:
                missing += [(key, kind) for kind, found in (('picture', pictures), ('mask', masks)) if key not in found]
    return jobs, missing
