"""Planes, ships, vehicles and storage tanks: shapes in scene units, heading to +x, and how they are painted."""

import numpy as np

from .canvas import CLASSES, Canvas


def rectangle(length: float, width: float) -> np.ndarray:
    """Corners of a rectangle around (0, 0), its length along x: (4, 2)."""
    return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (length / 2, width / 2)


def ellipse(length: float, width: float, points: int = 24) -> np.ndarray:
    """Corners of an ellipse around (0, 0), its length along x: (points, 2)."""
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([np.cos(turn) * length / 2, np.sin(turn) * width / 2], axis=1)


def mirror(half) -> np.ndarray:
    """A symmetric outline from its lower half (y >= 0), listed from front to back."""
    half = np.asarray(half, float)
    return np.concatenate([half, half[::-1] * (1, -1)])


def _plane_parts(kind: str) -> dict[str, np.ndarray]:
    # Unit length: nose at 0.5, tail at -0.5.
    fuselage = mirror([(0.5, 0), (0.45, 0.035), (0.36, 0.055), (-0.2, 0.055), (-0.44, 0.025), (-0.5, 0.01)])
    if kind == 'jet':
        return dict(
            left_engine=rectangle(0.1, 0.05) + (0.07, -0.17),
            right_engine=rectangle(0.1, 0.05) + (0.07, 0.17),
            wings=mirror([(0.14, 0.04), (-0.1, 0.47), (-0.17, 0.47), (-0.06, 0.05)]),
            tail=mirror([(-0.36, 0.02), (-0.47, 0.18), (-0.52, 0.18), (-0.47, 0.02)]),
            fuselage=fuselage,
        )
    if kind == 'propeller':
        return dict(
            left_engine=rectangle(0.12, 0.06) + (0.18, -0.2),
            right_engine=rectangle(0.12, 0.06) + (0.18, 0.2),
            wings=mirror([(0.2, 0.04), (0.16, 0.55), (0.05, 0.55), (0.02, 0.05)]),
            tail=mirror([(-0.38, 0.02), (-0.39, 0.2), (-0.48, 0.2), (-0.49, 0.02)]),
            fuselage=fuselage * (1, 1.25),
        )
    return dict(  # fighter
        wings=mirror([(0.2, 0.05), (-0.24, 0.36), (-0.32, 0.36), (-0.32, 0.05)]),
        tail=mirror([(-0.34, 0.04), (-0.45, 0.17), (-0.52, 0.17), (-0.48, 0.04)]),
        fuselage=fuselage * (1, 1.1),
    )


def plane(canvas: Canvas, centre, angle: float, allowed: np.ndarray) -> bool:
    """Put a plane at ``centre`` (samples) if there is room for it."""
    rng = canvas.rng
    kind, length = canvas.pick([('jet', 34), ('jet', 28), ('propeller', 19), ('fighter', 22)])
    length *= rng.uniform(0.85, 1.15)
    parts = {name: canvas.pose(part * length, centre, angle) for name, part in _plane_parts(kind).items()}
    outline = np.concatenate(list(parts.values()))
    if not canvas.is_free(outline, allowed):
        return False
    for part in parts.values():
        canvas.shadow(part, 0.09 * length)
    paint = canvas.tint(canvas.pick(canvas.domain.planes))
    if kind == 'fighter':
        paint = tuple(0.72 * c for c in paint)
    canvas.add_instance('plane', parts.values())
    canvas.fill(parts['wings'], tuple(0.88 * c for c in paint))
    canvas.fill(parts['tail'], tuple(0.84 * c for c in paint))
    canvas.fill(parts['fuselage'], paint)
    sunny = -np.sign(canvas.domain.sun[0] * -np.sin(angle) + canvas.domain.sun[1] * np.cos(angle))
    side = rectangle(0.7 * length, 0.04 * length) - (0.02 * length, sunny * 0.035 * length)
    canvas.fill(canvas.pose(side, centre, angle), tuple(0.75 * c for c in paint))
    fin = rectangle(0.15 * length, 0.03 * length) - (0.42 * length, 0)
    canvas.fill(
        canvas.pose(fin, centre, angle), canvas.pick([(40, 60, 130), (160, 40, 40), (70, 80, 90), (30, 110, 90)])
    )
    glass = rectangle(0.03 * length, 0.06 * length) + (0.43 * length, 0)
    canvas.fill(canvas.pose(glass, centre, angle), (50, 56, 66))
    for name in ('left_engine', 'right_engine'):
        if name in parts:
            canvas.fill(parts[name], tuple(0.62 * c for c in paint))
    return True


def ship(canvas: Canvas, centre, angle: float, allowed: np.ndarray) -> bool:
    """Put a ship at ``centre`` (samples) if there is room for it; some are under way and draw a wake."""
    rng = canvas.rng
    kind, length, beam = canvas.pick([('cargo', 42, 0.22), ('tanker', 38, 0.24), ('boat', 16, 0.34), ('boat', 21, 0.3)])
    length *= rng.uniform(0.85, 1.15)
    hull = mirror([(0.5, 0), (0.42, 0.42), (0.3, 0.5), (-0.44, 0.5), (-0.5, 0.4)]) * (length, length * beam)
    outline = canvas.pose(hull, centre, angle)
    if not canvas.is_free(outline, allowed):
        return False
    if rng.random() < 0.5:
        _wake(canvas, centre, angle, length, length * beam)
    canvas.shadow(outline, 3.0 if kind != 'boat' else 1.5)
    paint = canvas.tint(canvas.pick(canvas.domain.hulls))
    canvas.add_instance('ship', [outline])
    canvas.fill(outline, paint)
    deck = tuple(min(255, 0.6 * c + 70) for c in paint)
    canvas.fill(canvas.pose(hull * (0.9, 0.74), centre, angle), deck)

    def box(x: float, long: float, wide: float, colour) -> None:
        part = canvas.pose(rectangle(long * length, wide * beam * length) + (x * length, 0), centre, angle)
        canvas.shadow(part, 1.5)
        canvas.fill(part, colour)

    if kind == 'cargo':
        for x in np.arange(-0.2, 0.34, 0.11):
            box(x, 0.085, 0.7, canvas.tint(canvas.pick([(168, 70, 52), (62, 96, 140), (190, 150, 70), (90, 120, 90)])))
    elif kind == 'tanker':
        box(0.05, 0.6, 0.1, (120, 124, 126))
        box(0.05, 0.05, 0.7, (120, 124, 126))
    box(-0.36 if kind != 'boat' else -0.12, 0.14 if kind != 'boat' else 0.26, 0.62, (232, 232, 228))
    return True


def _wake(canvas: Canvas, centre, angle: float, length: float, width: float) -> None:
    water = (canvas.semantic == CLASSES.index('water')) & (canvas.occupied == 0)
    steps = 16
    for step in range(steps):
        start, half = 0.45 + 0.08 * step, 0.35 + 0.05 * step
        piece = np.array([[-start, -half], [-start, half], [-start - 0.09, half + 0.05], [-start - 0.09, -half - 0.05]])
        foam = canvas.mask(canvas.pose(piece * (length, width), centre, angle))
        canvas.blend(foam & water, (225, 228, 226), 0.5 * (1 - step / steps))


def vehicle(canvas: Canvas, centre, angle: float, allowed: np.ndarray) -> bool:
    """Put a car or a lorry at ``centre`` (samples) if there is room for it."""
    lorry = canvas.rng.random() < 0.2
    length, width = (14.0, 5.2) if lorry else (9.5, 4.8)
    length *= canvas.rng.uniform(0.9, 1.1)
    body = mirror([(0.5, 0.3), (0.42, 0.5), (-0.45, 0.5), (-0.5, 0.38)]) * (length, width)
    outline = canvas.pose(body, centre, angle)
    if not canvas.is_free(outline, allowed, margin=0.3):
        return False
    canvas.shadow(outline, 3.4 if lorry else 2.0)
    paint = canvas.tint(canvas.pick(canvas.domain.cars), 14)
    canvas.add_instance('vehicle', [outline])
    canvas.fill(outline, paint)
    if lorry:
        trailer = rectangle(0.7 * length, 0.92 * width) - (0.13 * length, 0)
        canvas.fill(canvas.pose(trailer, centre, angle), canvas.tint((214, 214, 210), 20))
    else:
        glass = tuple(0.35 * c + 14 for c in paint)
        for x, long in ((0.16, 0.13), (-0.32, 0.1)):
            canvas.fill(canvas.pose(rectangle(long * length, 0.74 * width) + (x * length, 0), centre, angle), glass)
    return True


def storage_tank(canvas: Canvas, centre, diameter: float, allowed: np.ndarray) -> bool:
    """Put a storage tank of ``diameter`` scene units at ``centre`` (samples) if there is room for it."""
    outline = canvas.pose(ellipse(diameter, diameter), centre, 0)
    if not canvas.is_free(outline, allowed):
        return False
    sun = np.asarray(canvas.domain.sun)
    canvas.shadow(outline, 0.42 * diameter)
    paint = canvas.tint(canvas.pick(canvas.domain.tanks))
    canvas.add_instance('storage-tank', [outline])
    canvas.fill(outline, tuple(0.8 * c for c in paint))
    canvas.fill(canvas.pose(ellipse(0.9 * diameter, 0.9 * diameter), centre, 0), paint)
    if canvas.rng.random() < 0.4:  # a floating roof lies lower: the rim's shadow falls into the tank
        inner = canvas.pose(ellipse(0.84 * diameter, 0.84 * diameter), centre, 0)
        canvas.fill(inner, tuple(0.5 * c for c in paint))
        moved = np.asarray(centre) + sun * 0.1 * diameter * canvas.unit
        canvas.fill(canvas.pose(ellipse(0.7 * diameter, 0.7 * diameter), moved, 0), tuple(0.86 * c for c in paint))
    else:
        lit = np.asarray(centre) - sun * 0.14 * diameter * canvas.unit
        canvas.fill(
            canvas.pose(ellipse(0.5 * diameter, 0.5 * diameter), lit, 0), tuple(min(255, 1.06 * c) for c in paint)
        )
        canvas.fill(canvas.pose(ellipse(0.14 * diameter, 0.14 * diameter), centre, 0), tuple(0.7 * c for c in paint))
    return True
