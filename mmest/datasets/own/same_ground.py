"""Rasters that show the same ground: a mosaic beside its own tiles, a copy, another date, tiles that overlap."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import shapely

from mmest.datasets.own.sample import Notes, Sample

_WHOLE = 0.95  # of a tile's ground in a mosaic, and of a mosaic's in its tiles
_MOSTLY = 0.75  # of the smaller raster; tiles that overlap, as by half, have less
_PARTLY = 0.1  # of the smaller raster; more is in one group
_SAME_SIZE = 1e-3
_ADVICE = (
    'scores are too good where one trains and the other validates (leave one out, or put both into the folder of one '
    'split)'
)


class Ground(NamedTuple):
    """Where a raster lies.

    Attributes:
        sample: the raster.
        crs: its coordinate reference system, as text; rasters of other ones are not compared.
        shape: its four corners there.
        pixel: width and height of a pixel there.
    """

    sample: Sample
    crs: str
    shape: shapely.Polygon
    pixel: tuple[float, float]


def without_mosaics(rasters: Sequence[Ground], notes: Notes) -> list[Sample]:
    """The rasters, but those that others were joined to, unless a folder says their split: their objects would be there
    twice, and on both sides of a split. Pairs that show the same ground otherwise stay, and are counted. Rasters that
    overlap, and those that overlap with these, become one group.

    Args:
        rasters: all of a folder.
        notes: what is left out, and which pairs are on the same ground, is counted here.
    """
    by_system = defaultdict(list)
    for raster in rasters:
        by_system[raster.crs].append(raster)
    gone: set[int] = set()
    for group in by_system.values():
        shared = list(_shared(group))
        mosaics = _mosaics(group, shared)
        for number in sorted(mosaics):
            notes.count('mosaics of other rasters of the folder, left out', group[number].sample.name)
        for one, other, area in shared:
            if one < other and not {one, other} & mosaics and _may_part(group[one], group[other], area):
                names = f'{group[one].sample.name} and {group[other].sample.name}'
                notes.count(f'pairs of rasters that show mostly the same ground: {_ADVICE}', names)
        _join(group, [pair for pair in shared if not {*pair[:2]} & mosaics])
        gone |= {id(group[number].sample) for number in mosaics}
    return [raster.sample for raster in rasters if id(raster.sample) not in gone]


def _join(rasters: Sequence[Ground], shared: Sequence[tuple[int, int, float]]) -> None:
    """Give rasters of one ground the name of the first of them as their group."""
    groups = {number: {number} for number in range(len(rasters))}
    for one, other, area in shared:
        first, second = rasters[one], rasters[other]
        overlap = area > _PARTLY * min(first.shape.area, second.shape.area)
        if overlap and first.sample.objects and second.sample.objects and groups[one] is not groups[other]:
            groups[one] |= groups[other]
            groups.update(dict.fromkeys(groups[other], groups[one]))
    for number, group in groups.items():
        if len(group) > 1:
            rasters[number].sample.group = min(rasters[member].sample.name for member in group)


def _may_part(first: Ground, second: Ground, shared: float) -> bool:
    """Whether one may train and the other validate although they show mostly the same ground."""
    one, other = first.sample, second.sample
    together = one.split is not None and one.split == other.split
    mostly = shared >= _MOSTLY * min(first.shape.area, second.shape.area)
    return mostly and not together and bool(one.objects and other.objects)


def _shared(rasters: Sequence[Ground]) -> Iterator[tuple[int, int, float]]:
    """Two rasters each, by number and in both orders, and the area that both show."""
    shapes = np.array([raster.shape for raster in rasters])
    first, second = shapely.STRtree(shapes).query(shapes, predicate='intersects')
    areas = shapely.area(shapely.intersection(shapes[first], shapes[second]))
    yield from ((i, j, area) for i, j, area in zip(first.tolist(), second.tolist(), areas.tolist()) if i != j and area)


def _mosaics(rasters: Sequence[Ground], shared: Sequence[tuple[int, int, float]]) -> set[int]:
    """Numbers of the rasters that several smaller ones with pixels of the same size make up."""
    tiles: dict[int, list[shapely.Polygon]] = defaultdict(list)
    for one, other, area in shared:
        large, small = rasters[one], rasters[other]
        alike = np.allclose(large.pixel, small.pixel, rtol=_SAME_SIZE, atol=0)
        if alike and area >= _WHOLE * small.shape.area and small.shape.area < _WHOLE * large.shape.area:
            tiles[one].append(small.shape)
    return {
        number
        for number, parts in tiles.items()
        if rasters[number].sample.split is None
        and shapely.union_all(parts).intersection(rasters[number].shape).area >= _WHOLE * rasters[number].shape.area
    }
