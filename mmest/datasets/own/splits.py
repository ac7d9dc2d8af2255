"""Train and validation where the data does not say: by groups of one ground, seeded, with all classes in both."""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from mmest.datasets.own.sample import UNLABELLED, OwnData, Sample, class_counts, some, split_of
from mmest.pictures.formats import ENDINGS

SHARE = 0.2
_TRIES = 200
_ENOUGH_GROUPS = 5
_ENDING = '|'.join(ending[1:] for ending in ENDINGS)


def choose(groups: Mapping[Hashable, Counter], seed: int, share: float = SHARE) -> set:
    """Which groups validate: of many random choices the one with all classes on both sides, each nearest to its share.

    Args:
        groups: what each group holds, such as objects by class.
        seed: of the choices.
        share: of the groups.

    Returns:
        At least one group, never all of them.
    """
    keys = list(groups)
    kinds = sorted({kind for counts in groups.values() for kind in counts}, key=str)
    held = np.array([[groups[key][kind] for kind in kinds] for key in keys], float).reshape(len(keys), len(kinds))
    wanted, common = held.sum(0) * share, (held > 0).sum(0) > 1
    count = min(max(1, round(len(keys) * share)), len(keys) - 1)
    random = np.random.default_rng(seed)
    best, best_miss = None, np.inf
    for _ in range(_TRIES):
        picked = random.permutation(len(keys))[:count]
        found = held[picked].sum(0)
        missing = common & (found == 0) | (found == held.sum(0))
        miss = float((np.abs(found - wanted) / np.maximum(wanted, 1)).sum() + len(keys) * missing.sum())
        if miss < best_miss:
            best, best_miss = picked, miss
    return {keys[index] for index in best}


def contents_of(sample: Sample, data: OwnData) -> Counter:
    """What a sample adds to a split: its objects by class, or the pixels of its mask, and itself.

    Raises:
        ValueError: the mask cannot be read.
    """
    found = pixels_of(data.read_mask(sample.mask)) if data.labels == 'masks' else class_counts([sample])
    return found + Counter(images=1)


def pixels_of(mask: np.ndarray) -> Counter:
    """Pixels of each class in a mask."""
    counts = np.bincount(mask.ravel(), minlength=UNLABELLED + 1)[:UNLABELLED]
    return Counter({label: int(counts[label]) for label in counts.nonzero()[0].tolist()})


def group_of(name: str) -> str:
    """What images of one source have in common: Roboflow's augmented copies end with ``.rf.`` and a hash, behind the
    ending that the source had.
    """
    return re.sub(rf'([._-]({_ENDING}))?\.rf\.[0-9a-f]+', '', name.rsplit('.', 1)[0], flags=re.I)


def _tile_group(name: str) -> str:
    """The source of a tile whose name ends with its place: ``scene_0_512``, ``P0001__1024__0___824``."""
    return re.sub(r'([_-]+[xyrc]?\d+){2,}$', '', name)


def group(samples: Sequence[Sample]) -> str:
    """Give each sample its group, where it has none.

    Returns:
        What was grouped, in words; empty where every image stands alone.
    """
    missing = [sample for sample in samples if not sample.group]
    copies = {id(sample): group_of(sample.name) for sample in missing}
    tiles = {id(sample): _tile_group(copies[id(sample)]) for sample in missing}
    tiled = _ENOUGH_GROUPS <= len(set(tiles.values())) < len(set(copies.values()))
    found = tiles if tiled else copies
    for sample in missing:
        sample.group = found[id(sample)]
    if tiled:
        return ', tiles of one scene together'
    return ', copies of one image together' if len(set(copies.values())) < len(missing) else ''


def _on_both_sides(samples: Sequence[Sample]) -> list[str]:
    """Scenes of which tiles train and tiles validate, by the names of these."""
    splits = defaultdict(set)
    for sample in samples:
        splits[_tile_group(group_of(sample.name))].add(sample.split)
    return [scene for scene, found in splits.items() if len(found) > 1]


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
    if mixed := _on_both_sides(training):
        data.notes.say(
            f'by their names, tiles of one scene both train and validate ({some(mixed)}), so scores are too good: of '
            f'fewer than {_ENOUGH_GROUPS} scenes none is held out; put ground of its own into a folder "val"'
        )
    return (
        f'no validation split was found: {count} of {len(training)} images ({len(chosen)} of {len(groups)} groups'
        f'{how}) validate, chosen with seed {seed}'
    )
