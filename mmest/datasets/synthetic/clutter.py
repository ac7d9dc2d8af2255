"""Look-alikes: things with the shape or the colour of an object that are none; they keep the class of their land."""

import numpy as np

from .canvas import CLASSES, Canvas
from .objects import ellipse, rectangle


def _free_place(canvas: Canvas, radius: float, label: str):
    allowed = canvas.semantic == CLASSES.index(label)
    for _ in range(12):
        centre = canvas.rng.uniform(0, canvas.side, 2)
        outline = canvas.pose(ellipse(2 * radius, 2 * radius), centre, 0)
        if canvas.is_free(outline, allowed):
            canvas.occupy(outline)
            return centre
    return None


def round_pond(canvas: Canvas) -> None:
    """A basin or a round plot, like a storage tank but without height."""
    diameter = canvas.rng.uniform(9, 18)
    centre = _free_place(canvas, diameter / 2, 'ground')
    if centre is None:
        return
    wet = canvas.rng.random() < 0.5
    fill = canvas.domain.water[1] if wet else canvas.domain.fields[0][1]
    canvas.fill(canvas.pose(ellipse(diameter, diameter), centre, 0), canvas.tint(canvas.domain.concrete, 10))
    canvas.fill(
        canvas.pose(ellipse(0.8 * diameter, 0.8 * diameter), centre, 0), canvas.tint(fill), 'water' if wet else None
    )


def crossing_paths(canvas: Canvas) -> None:
    """Two pale footpaths that cross, like the wings and the fuselage of a plane."""
    size = canvas.rng.uniform(20, 30)
    centre = _free_place(canvas, size / 2, 'ground')
    if centre is None:
        return
    angle, colour = canvas.rng.uniform(0, 2 * np.pi), canvas.tint(canvas.domain.sand, 12)
    canvas.fill(canvas.pose(rectangle(size, 0.09 * size), centre, angle), colour)
    canvas.fill(canvas.pose(rectangle(0.9 * size, 0.09 * size), centre, angle + canvas.rng.uniform(1.1, 2.0)), colour)


def shed(canvas: Canvas) -> None:
    """A container or a shed on open ground, of the size of a vehicle."""
    centre = _free_place(canvas, 6, 'ground')
    if centre is None:
        return
    outline = canvas.pose(rectangle(*canvas.rng.uniform((7, 4), (12, 6))), centre, canvas.rng.uniform(0, np.pi))
    canvas.shadow(outline, 3)
    canvas.fill(outline, canvas.tint(canvas.pick(canvas.domain.roofs), 12), 'building')


def rock(canvas: Canvas) -> None:
    """An islet with surf around it, as long as a boat."""
    length = canvas.rng.uniform(9, 22)
    centre = _free_place(canvas, length / 2, 'water')
    if centre is None:
        return
    angle, wobble = canvas.rng.uniform(0, np.pi), canvas.rng.uniform(0.75, 1.15, (24, 1))
    shape = ellipse(length, canvas.rng.uniform(0.35, 0.7) * length) * wobble
    canvas.blend(canvas.mask(canvas.pose(1.25 * shape, centre, angle)), (224, 228, 224), 0.4)
    canvas.fill(canvas.pose(shape, centre, angle), canvas.tint(np.multiply(canvas.domain.sand, 0.62), 14), 'ground')
    canvas.fill(canvas.pose(0.6 * shape, centre, angle), canvas.tint(canvas.domain.ground[1], 14))


def breakers(canvas: Canvas) -> None:
    """A streak of foam, as long and as bright as a boat."""
    length = canvas.rng.uniform(10, 20)
    centre = _free_place(canvas, length / 2, 'water')
    if centre is not None:
        streak = canvas.mask(canvas.pose(ellipse(length, 2.2), centre, canvas.rng.uniform(0, np.pi)))
        canvas.blend(streak, (232, 234, 230), 0.55)


def scatter(canvas: Canvas, count: int) -> None:
    """Put up to ``count`` look-alikes where there is room."""
    for _ in range(count):
        canvas.pick((round_pond, crossing_paths, shed, rock, breakers))(canvas)
