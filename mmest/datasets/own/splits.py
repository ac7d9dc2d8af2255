"""Train and validation where the data does not say: by groups of one ground, seeded, with all classes in both."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

import numpy as np

from mmest.datasets.own.sample import UNLABELLED, Notes, OwnData, Sample, class_counts, some, split_of
from mmest.datasets.own.sources import image_of, scene_of, series_of
from mmest.pictures.masks import count_numbers

SHARE = 0.2
#: What each class has of its share in the validation, as far as it can be.
_LEAST, _MOST = 0.5, 2.0
_LOOKED_AT = 20  # groups that alone would mend most, each with all that it may change places with
_GAIN = 1e-9  # less is rounding
_ENOUGH_GROUPS = 5
_LONG_SERIES = 3  # images; of fewer a name says nothing


def choose(groups: Mapping[Hashable, Counter], seed: int, share: float = SHARE) -> set:
    """Which groups validate: a share of them, with all classes on both sides, and each near to its share.

    Groups are ranked by a digest of their keys and the seed, and the first validate; then those change places that a
    class lacks, or has far too much of. So others keep their side, but for a few, where a group comes or goes.

    Args:
        groups: what each group holds, such as objects by class.
        seed: of the ranks.
        share: of the groups.

    Returns:
        At least one group, never all of them.
    """
    keys = sorted(groups, key=lambda key: hashlib.blake2b(f'{seed} {key!r}'.encode()).digest())
    kinds = sorted({kind for counts in groups.values() for kind in counts}, key=str)
    held = np.array([[groups[key][kind] for kind in kinds] for key in keys], float).reshape(len(keys), len(kinds))
    total, common = held.sum(0), (held > 0).sum(0) > 1

    def miss(found: np.ndarray) -> np.ndarray:
        """What is wrong with what validates, N×kinds or kinds; 0 where every kind is within its limits."""
        missing = common & (found == 0) | (found == total)
        shares = found / (total * share)
        beyond = np.maximum(1 - shares / _LEAST, 0) + np.maximum(shares / _MOST - 1, 0)
        return beyond.sum(-1) + len(keys) * missing.sum(-1)

    validates = np.arange(len(keys)) < min(max(1, round(len(keys) * share)), len(keys) - 1)
    found = held[validates].sum(0)
    left = float(miss(found))
    while left > 0:
        swap = min(_swaps(held, validates, found, miss), key=lambda one: one[0])
        if swap[0] >= left - _GAIN:
            break
        left, validates[swap[1]], validates[swap[2]] = swap[0], True, False
        found = held[validates].sum(0)
    return {key for key, chosen in zip(keys, validates.tolist()) if chosen}


def _swaps(
    held: np.ndarray, validates: np.ndarray, found: np.ndarray, miss: Callable[[np.ndarray], np.ndarray]
) -> Iterator[tuple[float, int, int]]:
    """Pairs that may change places, of those nearest to the border between both sides: what is wrong then, the group
    that comes to validate, and the one that goes.
    """
    outside, inside = np.flatnonzero(~validates), np.flatnonzero(validates)[::-1]
    for sign, first, second in ((1, outside, inside), (-1, inside, outside)):
        for one in first[np.argsort(miss(found + sign * held[first]), kind='stable')[:_LOOKED_AT]].tolist():
            wrong = miss(found + sign * (held[one] - held[second]))
            other = int(second[wrong.argmin()])
            yield float(wrong.min()), *((one, other) if sign > 0 else (other, one))


def contents_of(sample: Sample, data: OwnData) -> Counter:
    """What a sample adds to a split: its objects by class, or the pixels of its mask, and itself.

    Raises:
        ValueError: the mask cannot be read.
    """
    found = pixels_of(data.read_mask(sample.mask)) if data.labels == 'masks' else class_counts([sample])
    return found + Counter(images=1)


def pixels_of(mask: np.ndarray) -> Counter:
    """Pixels of each class in a mask."""
    counts = count_numbers(mask)[:UNLABELLED]
    return Counter({label: int(counts[label]) for label in counts.nonzero()[0].tolist()})


def group(samples: Sequence[Sample]) -> str:
    """Give each sample its group, where it has none.

    Returns:
        What was grouped, in words; empty where every image stands alone.
    """
    missing = [sample for sample in samples if not sample.group]
    said = ', rasters that overlap together' if len(missing) < len(samples) else ''
    images = [image_of(sample.name) for sample in missing]
    scenes = [scene_of(sample.name) for sample in missing]
    by_scene = _ENOUGH_GROUPS <= len(set(scenes)) < len(set(images))
    for sample, name in zip(missing, scenes if by_scene else images):
        sample.group = name
    if by_scene:
        return f', copies or tiles of one scene together{said}'
    return f', copies of one image together{said}' if len(set(images)) < len(missing) else said


def _forget_one_ground(samples: Sequence[Sample], notes: Notes) -> None:
    """Of rasters that all overlap, each is a group of its own: none of the ground can be held out as a whole."""
    if samples[0].group and len({sample.group for sample in samples}) == 1:
        for sample in samples:
            sample.group = ''
        notes.say(
            f'all {len(samples)} rasters overlap, each with the next, so scores are too good: ground that validates '
            'trains too; put a raster of ground of its own into a folder "val"'
        )


def _say_doubts(samples: Sequence[Sample], notes: Notes) -> None:
    """Say what the names tell about images on both sides that may show the same ground."""
    if mixed := _on_both_sides(samples, scene_of):
        notes.say(
            f'by their names, copies or tiles of one scene both train and validate ({some(mixed)}), so scores are too '
            f'good: of fewer than {_ENOUGH_GROUPS} scenes none is held out; put ground of its own into a folder "val"'
        )
        return
    series = Counter(series_of(sample.name) for sample in samples)
    mixed = [name for name in _on_both_sides(samples, series_of) if series[name] >= _LONG_SERIES]
    if len(series) > 1 and mixed and len(samples) >= _LONG_SERIES * len(series):
        notes.say(
            f'images are numbered in {len(series)} series ({some(mixed)}), of which some train and some validate: if '
            'those of a series show one place, scores are too good; put whole series into a folder "val"'
        )


def _on_both_sides(samples: Sequence[Sample], source: Callable[[str], str]) -> list[str]:
    """The sources, by the names of images, of which some images train and some validate."""
    splits = defaultdict(set)
    for sample in samples:
        splits[source(sample.name)].add(sample.split)
    return [name for name, found in splits.items() if len(found) > 1]


def _only_tests(data: OwnData) -> str:
    parts = {part: None for sample in data.samples for part in sample.name.split('/')[:-1] if split_of(part) == 'test'}
    said = f'all of the split test, as the name of the folder {some(list(parts))} says' if parts else 'all to test with'
    advice = 'Rename it, or put' if parts else 'Put'
    return (
        f'{data.root} holds {len(data.samples)} images, {said}; some are needed to train and to validate with. '
        f'{advice} images that train into a folder "train".'
    )


def split(data: OwnData, seed: int = 0) -> str:
    """Have every sample in a split; what the data says stays.

    Args:
        data: its samples get their ``split``.
        seed: of the choice.

    Returns:
        The sentence that says how it was done.

    Raises:
        ValueError: there are too few images for two splits, as where all are of the test split; or a mask cannot be
            read.
    """
    stated = Counter(sample.split for sample in data.samples if sample.split)
    for sample in data.samples:
        sample.split = sample.split or 'train'
    if stated['val'] and any(sample.split == 'train' for sample in data.samples):
        return 'split as the data says'
    if stated['val'] and not stated['train']:
        for sample in data.samples:
            sample.split = 'train' if sample.split == 'val' else sample.split
    training = [sample for sample in data.samples if sample.split == 'train']
    if not training:
        raise ValueError(_only_tests(data))
    _forget_one_ground(training, data.notes)
    how = group(training)
    groups: dict[str, Counter] = {}
    for sample in training:
        groups.setdefault(sample.group, Counter()).update(contents_of(sample, data))
    if len(groups) < 2:
        raise ValueError(
            f'{data.root} holds {len(training)} image{"s" * (len(training) != 1)} to train and to validate with'
            f'{how}; at least two of different ground are needed.'
        )
    chosen = choose(groups, seed)
    for sample in training:
        sample.split = 'val' if sample.group in chosen else 'train'
    count = sum(sample.split == 'val' for sample in training)
    _say_doubts(training, data.notes)
    return (
        f'no validation split was found: {count} of {len(training)} images ({len(chosen)} of {len(groups)} groups'
        f'{how}) validate, chosen with seed {seed}'
    )
