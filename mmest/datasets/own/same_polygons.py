"""Polygons that two layers hold: a shapefile beside its export as GeoJSON."""

from collections.abc import Sequence

import numpy as np
import shapely

from mmest.datasets.own.sample import Notes, Thing

_NEAR = 0.5  # pixels between the bounds of two; another reference system and its rounding move points by less
_OVERLAP = 0.9  # of their union


def once(layers: Sequence[tuple[str, list[Thing]]], notes: Notes) -> list[Thing]:
    """The objects of all layers on a raster, without those that an earlier layer has as the same class.

    Objects of one layer are not compared with each other.

    Args:
        layers: of each its name and its objects, which have outlines.
        notes: what is left out, and which objects lie on one of another class, is counted here.
    """
    kept: list[Thing] = []
    places: list[str] = []
    for place, objects in layers:
        twice = set()
        for new, old in _same(objects, kept):
            if objects[new].label == kept[old].label:
                twice.add(new)
                notes.count('polygons that another layer has too, left out', f'{place}, as {places[old]}')
            else:
                notes.count(
                    'polygons that lie on the same one of another class (if a layer is there twice, leave one out)',
                    f'{place} and {places[old]}',
                )
        new_ones = [one for number, one in enumerate(objects) if number not in twice]
        kept += new_ones
        places += [place] * len(new_ones)
    return kept


def _same(first: Sequence[Thing], second: Sequence[Thing]) -> list[tuple[int, int]]:
    """Numbers of those that are one polygon, each of the first with one of the second."""
    ones, others = (np.array([one.shape for one in objects], object) for objects in (first, second))
    one, other = shapely.STRtree(others).query(ones)
    near = (np.abs(shapely.bounds(ones[one]) - shapely.bounds(others[other])) <= _NEAR).all(1)
    one, other = one[near], other[near]
    shared = shapely.area(shapely.intersection(ones[one], others[other]))
    same = shared >= _OVERLAP * (shapely.area(ones[one]) + shapely.area(others[other]) - shared)
    return list({number: (number, there) for number, there in zip(one[same].tolist(), other[same].tolist())}.values())
