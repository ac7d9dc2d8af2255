"""Colours of classes: what is known by its name looks like itself, the rest can be told apart."""

import colorsys
import re
from collections.abc import Sequence

import numpy as np

# By what is seen, RGB; the names that stand for it, as whole names or as their last word.
_GROUND = {
    (38, 110, 200): 'water sea ocean river lake pond canal stream waterbody',
    (70, 190, 230): 'pool swimming_pool wetland marsh flooded',
    (20, 95, 40): 'forest woodland wood woods trees treecover',
    (60, 145, 50): 'tree vegetation plant plants shrub bush bushes',
    (140, 200, 90): 'grass grassland low_vegetation meadow lawn pasture rangeland park',
    (215, 180, 95): 'agriculture agricultural cropland crop crops farmland farm arable orchard vineyard cultivated',
    (200, 165, 130): 'land bare bareland barren soil ground sand beach desert bare_soil unpaved earth rock',
    (185, 60, 50): 'building buildings house houses roof rooftop residential',
    (205, 110, 90): 'urban built_up builtup settlement developed urban_land industrial commercial',
    (130, 130, 135): 'road roads street highway pavement asphalt railway rail runway transportation',
    (175, 175, 180): 'impervious impervious_surface impervious_surfaces parking sidewalk concrete',
    (240, 245, 250): 'snow ice glacier cloud clouds',
    (240, 200, 60): 'car cars vehicle vehicles truck bus small_vehicle large_vehicle',
    (60, 50, 70): 'background other others clutter unlabelled unlabeled unknown shadow',
}
_BY_NAME = {name: colour for colour, names in _GROUND.items() for name in names.split()}
# Names whose first word tells enough, such as "water body" and "building roof".
_FIRST = ('water', 'forest', 'tree', 'vegetation', 'grass', 'bare', 'agricultural', 'building', 'road', 'urban')
# Okabe and Ito's, that colour-blind people tell apart, without black: bright on imagery first, neighbours far apart.
_OTHERS = (
    (240, 228, 66), (86, 180, 233), (213, 94, 0), (204, 121, 167), (0, 158, 115), (230, 159, 0), (0, 114, 178),
)  # fmt: skip


def class_colours(names: Sequence[str], stated: Sequence[Sequence[int]] | None = None) -> np.ndarray:
    """A colour for each class, no two alike: C×3 RGB, uint8.

    Args:
        names: of the classes.
        stated: colours that the data state, for classes of no known name.
    """
    stated = stated if isinstance(stated, (list, tuple)) and len(stated) >= len(names) else None
    others = (_shade(_OTHERS[number % len(_OTHERS)], number // len(_OTHERS)) for number in range(10**6))
    used: set[tuple[int, ...]] = set()
    found = []
    for number, name in enumerate(names):
        colour = _known(name) or (tuple(map(int, stated[number][:3])) if stated else next(others))
        attempts = (_shade(colour, step) for step in range(len(names) + 1))
        colour = next((one for one in attempts if one not in used), colour)
        used.add(colour)
        found.append(colour)
    return np.array(found, np.uint8).reshape(-1, 3)


def object_colours(count: int) -> np.ndarray:
    """Colours for outlines of objects, no matter what they are: C×3 RGB, uint8."""
    return class_colours([''] * count)


def _known(name: str) -> tuple[int, ...] | None:
    words = [word for word in re.split(r'[^a-z]+', name.lower()) if word]
    if not words:
        return None
    first = _BY_NAME.get(words[0]) if words[0] in _FIRST else None
    return _BY_NAME.get('_'.join(words)) or _BY_NAME.get(words[-1]) or first


def _shade(colour: tuple[int, ...], step: int) -> tuple[int, ...]:
    """Variants of a colour: itself, lighter and darker in turn, each farther."""
    if not step:
        return tuple(colour)
    hue, light, saturation = colorsys.rgb_to_hls(*(value / 255 for value in colour))
    change = 0.13 * ((step + 1) // 2) * (1 if (step % 2) == (light < 0.5) else -1)
    light = (light + change) % 1 if not 0.08 < light + change < 0.92 else light + change
    return tuple(round(255 * value) for value in colorsys.hls_to_rgb(hue, light, saturation))
