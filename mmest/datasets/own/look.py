"""What is in a user's data: counts, sizes, classes, and what to watch out for."""

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmest.datasets.own.sample import SPLITS, UNLABELLED, OwnData, some

# Sides of COCO's small and medium objects, in pixels.
_SMALL, _MEDIUM = 32, 96
_TINY = 16  # below this most detectors see nothing
_RARE, _FEW = 50, 20  # a class this many times rarer than another; so few objects teach little


@dataclass
class Facts:
    """What is there.

    Attributes:
        images: by split.
        sides: of the images: the smallest, the middle one and the largest, as width and height.
        objects: by class number and split; pixels in a data set of masks.
        on_images: images by class number.
        sizes: sides of the objects, the root of their boxes' areas, in pixels.
        shares: the same as a share of the image's side.
        empty: images without an object.
        warnings: sentences.
    """

    images: Counter
    sides: list[tuple[int, int]]
    objects: dict[int, Counter]
    on_images: Counter
    sizes: np.ndarray
    shares: np.ndarray
    empty: int
    warnings: list[str] = field(default_factory=list)


def look(data: OwnData) -> Facts:
    """Look at all of a data set, every mask and the content of every file.

    Raises:
        ValueError: a mask cannot be read.
    """
    images = Counter(sample.split or 'not split' for sample in data.samples)
    by_area = sorted((sample.width * sample.height, sample.width, sample.height) for sample in data.samples)
    sides = [by_area[at][1:] for at in (0, len(by_area) // 2, -1)]
    objects: dict[int, Counter] = defaultdict(Counter)
    on_images: Counter = Counter()
    sizes, shares, empty = [], [], 0
    for sample in data.samples:
        split = sample.split or 'not split'
        if data.labels == 'masks':
            found = dict(zip(*(part.tolist() for part in np.unique(data.read_mask(sample.mask), return_counts=True))))
            found.pop(UNLABELLED, None)
        else:
            found = Counter(one.label for one in sample.objects)
            sizes += [one.box_area**0.5 for one in sample.objects]
            shares += [(one.box_area / (sample.width * sample.height)) ** 0.5 for one in sample.objects]
        empty += not found
        for label, count in found.items():
            objects[label][split] += count
            on_images[label] += 1
    facts = Facts(images, sides, dict(objects), on_images, np.array(sizes), np.array(shares), empty)
    facts.warnings = [*_warnings(data, facts), *_twice(data)]
    return facts


def _warnings(data: OwnData, facts: Facts) -> list[str]:
    found = []
    unit = 'pixels' if data.labels == 'masks' else 'objects'
    totals = {data.classes[label]: sum(counts.values()) for label, counts in facts.objects.items()}
    if totals:
        most, least = max(totals, key=totals.get), min(totals, key=totals.get)
        if totals[most] >= _RARE * totals[least]:
            found.append(f'"{most}" has {totals[most] / totals[least]:.0f} times as many {unit} as "{least}"')
    missing = [name for name in data.classes if name not in totals]
    if missing:
        found.append(f'no {unit} of {some(missing)}')
    few = [name for name, count in totals.items() if count < _FEW and data.labels != 'masks']
    if few:
        found.append(f'fewer than {_FEW} objects of {some(few)}: label more of them')
    if 'val' in facts.images:
        unseen = [data.classes[label] for label, counts in sorted(facts.objects.items()) if not counts['val']]
        if unseen:
            found.append(f'no {unit} of {some(unseen)} in the validation split: how good they are will not be known')
    if len(facts.sizes) and np.median(facts.sizes) < _TINY:
        found.append(
            f'half of the objects are smaller than {np.median(facts.sizes):.0f} pixels: train with a larger --size, '
            'which enlarges images, or label at a finer resolution'
        )
    if facts.empty:
        found.append(f'{facts.empty} of {len(data.samples)} images have nothing labelled: is nothing on them?')
    return found


def _twice(data: OwnData) -> list[str]:
    """Images of equal content, by their files' bytes; in two splits they make the score a lie."""
    by_content: dict[str, list] = defaultdict(list)
    digests: dict[Path, str] = {}
    for sample in data.samples:
        if sample.image not in digests:
            digests[sample.image] = hashlib.blake2b(sample.image.read_bytes(), digest_size=16).hexdigest()
            by_content[digests[sample.image]].append(sample)
    same = [group for group in by_content.values() if len(group) > 1]
    across = [group for group in same if len({sample.split for sample in group}) > 1]
    found = []
    if across:
        pairs = ' = '.join(sample.name for sample in across[0][:2])
        found.append(f'{_images(len(across))} in two splits, such as {pairs}: take them out of one')
    if len(same) > len(across):
        pairs = ' = '.join(sample.name for sample in next(group for group in same if group not in across)[:2])
        found.append(f'{_images(len(same) - len(across))} there twice, such as {pairs}')
    return found


def _images(count: int) -> str:
    return '1 image is' if count == 1 else f'{count} images are'


def splits_of(facts: Facts) -> list[str]:
    """The splits that are there, in the usual order."""
    return [split for split in (*SPLITS, 'not split') if split in facts.images]


def size_groups(facts: Facts) -> dict[str, float]:
    """Shares of the objects that are small, medium and large, as COCO has it."""
    small, medium = (facts.sizes < _SMALL).mean(), (facts.sizes < _MEDIUM).mean()
    return {
        f'small (below {_SMALL}²)': small,
        f'medium (below {_MEDIUM}²)': medium - small,
        f'large (from {_MEDIUM}²)': 1 - medium,
    }
