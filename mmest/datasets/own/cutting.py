"""Large images as tiles: objects follow, and ground that validates never touches ground that trains."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import shapely

from mmest.datasets.own.sample import Notes, OwnData, Sample, Thing, cut_to, some
from mmest.datasets.own.splits import SHARE, choose, pixels_of, split
from mmest.tiles.grid import Box, tiles

_FEWEST_SCENES = 5  # with so many images whole ones validate; with fewer, parts of them
_BLOCK = 2  # tiles along a block
_VISIBLE = 0.5  # of an object's area on a tile; of less a detector learns nothing
_OVERLAP = 5  # training tiles share this part of their side, so that every object is whole on one
_EMPTY = 4  # one empty training tile is kept for this many with objects


def cut(data: OwnData, size: int, seed: int = 0) -> str:
    """Replace images that are larger than a tile by tiles of them, and split what has no split.

    A few scenes are split by blocks of their ground, many as they are.

    Args:
        data: its samples are replaced.
        size: side of a tile, in pixels.
        seed: of the choice of what validates.

    Returns:
        How it was split, in words.

    Raises:
        ValueError: there is too little to split.
    """
    scenes = [sample for sample in data.samples if sample.split != 'test']
    by_blocks = few_scenes(data) and any(map(_larger_than(size), scenes))
    said = '' if by_blocks else split(data, seed)
    kept, regions = [], []
    for sample in data.samples:
        if by_blocks and sample.split != 'test' and _larger_than(size)(sample):
            regions += [(sample, box, chosen) for box, chosen in _blocks(sample, data, size, seed)]
        elif _larger_than(size)(sample) or data.rasters:  # which become images of 8 bits and three channels, whole too
            regions.append((sample, (0, 0, sample.width, sample.height), sample.split))
        else:
            kept.append(sample)
    # Tiles of a.jpg and a.png, and a whole image that is called like a tile, must not meet.
    stems = Counter(_stem(sample.name) for sample in data.samples)
    taken = {_stem(sample.name) for sample in kept}
    pieces = []
    for sample, box, chosen in regions:
        found = _tiles(sample, box, chosen, size)
        if stems[_stem(sample.name)] > 1 or taken & {_stem(piece.name) for piece in found}:
            for piece in found:
                piece.name = sample.name + piece.name.removeprefix(_stem(sample.name))
        pieces += found
    if data.labels != 'masks':
        pieces = _without_most_empty(pieces, seed, data.notes)
    data.samples = kept + pieces
    if by_blocks:
        _say_overlap(scenes, data.notes)
        split(data, seed)  # gives those that were not cut to the training
        count = sum(chosen == 'val' for _, _, chosen in regions)
        said = (
            f'no validation split was found: {count} of {len(regions)} blocks of the ground validate, a quarter of a '
            f'tile away from what trains, chosen with seed {seed}'
        )
    return said


def _say_overlap(scenes: list[Sample], notes: Notes) -> None:
    """Blocks of a scene are away from what trains on it, and not from what trains on another."""
    groups = Counter(sample.group for sample in scenes if sample.group)
    overlapping = [sample.name for sample in scenes if groups[sample.group] > 1]
    if overlapping:
        notes.say(
            f'rasters overlap ({some(overlapping)}), and what validates on one may train on another, so scores are too '
            'good: join them first (gdal_merge.py), or put ground of its own into a folder "val"'
        )


def few_scenes(data: OwnData) -> bool:
    """Whether so few images have no split that parts of them validate, and not whole ones."""
    scenes = [sample for sample in data.samples if sample.split != 'test']
    return len(scenes) < _FEWEST_SCENES and not any(sample.split == 'val' for sample in scenes)


def _stem(name: str) -> str:
    return name.rsplit('.', 1)[0]


def _larger_than(size: int) -> Callable[[Sample], bool]:
    return lambda sample: max(sample.width, sample.height) > size


def _blocks(sample: Sample, data: OwnData, size: int, seed: int) -> list[tuple[Box, str]]:
    """Parts of a scene and their splits."""
    columns, rows = (max(1, round(side / (_BLOCK * size))) for side in (sample.width, sample.height))
    while columns * rows < 4:
        columns, rows = (columns + 1, rows) if sample.width / columns >= sample.height / rows else (columns, rows + 1)
    xs = np.linspace(0, sample.width, columns + 1).round().astype(int).tolist()
    ys = np.linspace(0, sample.height, rows + 1).round().astype(int).tolist()
    places = list(product(range(columns), range(rows)))
    held = {place: Counter(ground=1) for place in places}
    if data.labels == 'masks':
        mask = data.read_mask(sample.mask)
        for x, y in places:
            held[x, y] += pixels_of(mask[ys[y] : ys[y + 1], xs[x] : xs[x + 1]])
    for one in sample.objects:
        middle = ((one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2)
        column = min(int(np.searchsorted(xs, middle[0], 'right')) - 1, columns - 1)
        row = min(int(np.searchsorted(ys, middle[1], 'right')) - 1, rows - 1)
        held[column, row][one.label] += 1
    chosen = choose(held, seed, SHARE)
    # On each side, to the left and up; of narrow blocks, as a strip has, at most half is left out.
    gaps = [min(size // 8, int(np.diff(ends).min()) // 4) for ends in (xs, ys)]

    def pulled(place: tuple[int, int], step: tuple[int, int]) -> int:
        """How far a block stays away from what lies beside it, and at its corners to the left and to the right."""
        beside = [(place[0] + step[0], place[1] + step[1] + up) for up in ((-1, 0, 1) if step[0] else (0,))]
        gap = gaps[0 if step[0] else 1]
        return gap if any(one in held and (one in chosen) != (place in chosen) for one in beside) else 0

    return [
        (
            (
                xs[x] + pulled((x, y), (-1, 0)),
                ys[y] + pulled((x, y), (0, -1)),
                xs[x + 1] - pulled((x, y), (1, 0)),
                ys[y + 1] - pulled((x, y), (0, 1)),
            ),
            'val' if (x, y) in chosen else 'train',
        )
        for x, y in places
    ]


def _tiles(sample: Sample, region: Box, split: str, size: int) -> list[Sample]:
    """Tiles of a part of a scene; those of training overlap."""
    x0, y0, x1, y1 = region
    overlap = size // _OVERLAP if split == 'train' and sample.mask is None else 0
    bounds = np.array([one.box for one in sample.objects]).reshape(-1, 4)
    found = []
    for box in tiles(x1 - x0, y1 - y0, size, overlap):
        window = (box[0] + x0, box[1] + y0, box[2] + x0, box[3] + y0)
        near = (
            (bounds[:, 0] < window[2])
            & (bounds[:, 2] > window[0])
            & (bounds[:, 1] < window[3])
            & (bounds[:, 3] > window[1])
        )
        things = [part for index in near.nonzero()[0] if (part := _part(sample.objects[index], window))]
        found.append(
            replace(
                sample,
                name=f'{_stem(sample.name)}_{window[0]}_{window[1]}.png',
                width=window[2] - window[0],
                height=window[3] - window[1],
                objects=things,
                split=split,
                window=window,
            )
        )
    return found


def _part(one: Thing, window: Box) -> Thing | None:
    """The part of an object on a tile, in the tile's pixels."""
    whole = one.shape if one.shape is not None else shapely.box(*one.box)
    part = cut_to(whole, window)
    if part is None:
        return None
    part = shapely.transform(part, lambda points: points - window[:2])
    shape = part if one.shape is not None else None
    return Thing(one.label, part.bounds, shape, one.ignore, part.area < _VISIBLE * whole.area)


def _without_most_empty(pieces: list[Sample], seed: int, notes: Notes) -> list[Sample]:
    """All tiles but most of the training ones without an object."""
    empty = [index for index, piece in enumerate(pieces) if not piece.objects and piece.split == 'train']
    held = sum(bool(piece.objects) for piece in pieces if piece.split == 'train')
    kept = np.random.default_rng(seed).permutation(empty)[: max(1, held // _EMPTY)].tolist()
    left_out = set(empty) - set(kept)
    if left_out:
        notes.say(
            f'of {len(empty)} training tiles without an object {len(kept)} are kept, one for {_EMPTY} of the {held} '
            'with objects; all that validate are'
        )
    return [piece for index, piece in enumerate(pieces) if index not in left_out]
