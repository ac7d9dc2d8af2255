"""Land cover: ground with fields, water, woods, roads and paved places, buildings."""

import cv2
import numpy as np

from .canvas import CLASSES, Canvas
from .objects import rectangle
from .textures import mix, stripes

ROAD_WIDTH = 16.0  # scene units: two lanes
LARGEST_CROWN = 4.2  # scene units: the radius of a tree


def ground(canvas: Canvas, fields: int = 0) -> None:
    """Cover the canvas with bare or grassy ground and, if asked for, ``fields`` parcels with furrows."""
    rng = canvas.rng
    canvas.cover(np.ones(canvas.semantic.shape, bool), mix(*canvas.domain.ground, canvas.noise(40, 4)), 'ground')
    angle = rng.uniform(0, np.pi)
    for _ in range(fields):
        size = rng.uniform(40, 80, 2)
        parcel = canvas.mask(canvas.pose(rectangle(*size), rng.uniform(0, canvas.side, 2), angle))
        furrows = stripes(canvas.side, rng.uniform(2.5, 5) * canvas.unit, angle + canvas.pick([0, np.pi / 2]))
        weight = 0.65 * furrows + 0.35 * canvas.noise(20)
        canvas.cover(parcel, mix(*canvas.pick(canvas.domain.fields), weight), 'ground')


def water(canvas: Canvas, share: float, quay: bool = False) -> None:
    """Flood a side of the scene, about ``share`` of it; its shore is a beach, or a straight quay."""
    rng = canvas.rng
    y, x = np.mgrid[: canvas.side, : canvas.side].astype(np.float32) / canvas.side - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    level = x * np.cos(angle) + y * np.sin(angle)
    if not quay:
        level = level + 0.45 * (canvas.noise(50) - 0.5)
    flooded = level > np.quantile(level, 1 - share)
    away = cv2.distanceTransform(flooded.astype(np.uint8), cv2.DIST_L2, 3) / canvas.unit
    shore = cv2.distanceTransform((~flooded).astype(np.uint8), cv2.DIST_L2, 3) / canvas.unit
    if quay:
        canvas.cover(
            (shore > 0) & (shore < 7),
            mix(canvas.domain.concrete, np.multiply(canvas.domain.concrete, 0.85), canvas.noise(6)),
            'road',
        )
    else:
        canvas.cover(
            (shore > 0) & (shore < 3 + 5 * canvas.noise(30)),
            mix(canvas.domain.sand, np.multiply(canvas.domain.sand, 0.88), canvas.noise(8)),
            'ground',
        )
    waves = stripes(canvas.side, 3.0 * canvas.unit, angle + rng.uniform(-0.5, 0.5))
    weight = 0.55 * canvas.noise(40) + 0.25 * np.exp(-away / 10) + 0.2 * waves * canvas.noise(12)
    canvas.cover(flooded, mix(*canvas.domain.water, weight), 'water')
    canvas.blend(flooded & (away < 1.6), (228, 230, 224), 0.35 if quay else 0.35 * canvas.noise(6))


def woods(canvas: Canvas, share: float) -> None:
    """Cover about ``share`` of the open ground with trees, crown by crown."""
    density = canvas.noise(36)
    # Crowns stay clear of what stands there already, so that no object hides under a tree.
    clearance = cv2.distanceTransform(1 - canvas.occupied, cv2.DIST_L2, 3) / canvas.unit
    open_ground = (canvas.semantic == CLASSES.index('ground')) & (clearance > LARGEST_CROWN)
    if share <= 0 or not open_ground.any():
        return
    wooded = open_ground & (density > np.quantile(density[open_ground], 1 - share))
    canvas.cover(wooded, np.multiply(canvas.domain.forest[0], 0.8), 'vegetation')
    places = np.argwhere(wooded)[:, ::-1]
    count = int(len(places) / (2.6 * canvas.unit) ** 2)
    for centre in places[canvas.rng.integers(len(places), size=count)]:
        tree(canvas, centre, canvas.rng.uniform(2.2, LARGEST_CROWN))


def scattered_trees(canvas: Canvas, count: int) -> None:
    """Plant single trees on open ground."""
    for _ in range(count):
        centre, radius = canvas.rng.uniform(0, canvas.side, 2), canvas.rng.uniform(2.4, LARGEST_CROWN)
        crown = canvas.pose(rectangle(2 * radius, 2 * radius), centre, 0)
        if canvas.is_free(crown, canvas.semantic == CLASSES.index('ground'), margin=0.5):
            tree(canvas, centre, radius, alone=True)
            canvas.occupy(crown)


def tree(canvas: Canvas, centre, radius: float, alone: bool = False) -> None:
    """Paint one crown of ``radius`` scene units; one that stands ``alone`` throws a shadow on the ground."""
    sun, size = np.asarray(canvas.domain.sun), radius * canvas.unit
    corner = lambda offset: tuple(int(v) for v in np.round(np.asarray(centre) + sun * offset))  # noqa: E731
    if alone:
        turn = np.linspace(0, 2 * np.pi, 10, endpoint=False)
        canvas.shadow(np.asarray(centre) + size * np.stack([np.cos(turn), np.sin(turn)], 1), 1.6 * radius)
    else:
        cv2.circle(canvas.rgb, corner(0.35 * size), round(size), tuple(0.55 * c for c in canvas.domain.forest[0]), -1)
    dark, light = (np.float32(c) for c in canvas.domain.forest)
    crown = dark + (light - dark) * canvas.rng.random()
    cv2.circle(canvas.rgb, corner(0), round(size), tuple(map(float, 0.85 * crown)), -1)
    cv2.circle(
        canvas.rgb, corner(-0.25 * size), round(0.7 * size), tuple(map(float, np.clip(1.08 * crown, 0, 255))), -1
    )
    cv2.circle(canvas.semantic, corner(0), round(size), CLASSES.index('vegetation'), -1)


def road(canvas: Canvas, centre, angle: float, bend: float = 0.0) -> np.ndarray:
    """Lay a two-lane road through ``centre`` (samples) from edge to edge of the scene.

    Returns:
        Its centre line in samples, float (N, 2).
    """
    reach = 0.8 * canvas.side / canvas.unit
    along = np.linspace(-reach, reach, 33)
    line = canvas.pose(np.stack([along, bend * along**2 / reach], 1), centre, angle)
    points = [np.round(line).astype(np.int32)]
    width = round(ROAD_WIDTH * canvas.unit)
    asphalt = canvas.tint(canvas.domain.asphalt, 10)
    cv2.polylines(canvas.rgb, points, False, tuple(0.75 * c + 40 for c in asphalt), width + round(1.6 * canvas.unit))
    cv2.polylines(canvas.rgb, points, False, asphalt, width)
    cv2.polylines(canvas.semantic, points, False, CLASSES.index('road'), width)
    cv2.polylines(canvas.occupied, points, False, 1, width)
    pixels = canvas.semantic == CLASSES.index('road')
    canvas.blend(pixels, (40, 40, 42), 0.16 * canvas.noise(5))
    return line


def lane_markings(canvas: Canvas, line: np.ndarray) -> None:
    """Dash the centre line of a road."""
    for start, end in zip(line[:-1:2], line[1::2]):
        first, second = (tuple(int(v) for v in np.round(p)) for p in (start, start + 0.7 * (end - start)))
        cv2.line(canvas.rgb, first, second, canvas.domain.marking, max(1, round(0.5 * canvas.unit)))


def pavement(canvas: Canvas, polygon, material: str, joints: float = 0.0) -> None:
    """Pave a polygon (samples) with ``material``, 'asphalt' or 'concrete', slabs ``joints`` scene units apart."""
    colour = np.float32(canvas.tint(getattr(canvas.domain, material), 8))
    mask = canvas.mask(polygon)
    canvas.cover(mask, mix(0.92 * colour, 1.04 * colour, canvas.noise(14, 4)), 'road')
    if joints:
        edge = polygon[1] - polygon[0]
        angle = np.arctan2(edge[1], edge[0])
        for turn in (angle, angle + np.pi / 2):
            lines = stripes(canvas.side, joints * canvas.unit, turn) > 0.985
            canvas.blend(mask & lines, 0.6 * colour, 0.5)


def building(canvas: Canvas, centre, angle: float, size, allowed: np.ndarray) -> bool:
    """Put a building of ``size`` (length, width in scene units) at ``centre`` (samples) if there is room for it."""
    rng = canvas.rng
    length, width = size
    outline = canvas.pose(rectangle(length, width), centre, angle)
    if not canvas.is_free(outline, allowed, margin=1.5):
        return False
    canvas.shadow(outline, rng.uniform(5, 9))
    roof = canvas.tint(canvas.pick(canvas.domain.roofs), 12)
    canvas.fill(outline, roof, 'building')
    canvas.occupy(outline)
    if max(size) < 30 and rng.random() < 0.75:  # a gable roof: the side that faces the sun is brighter
        normal = canvas.pose([(0, 1)], (0, 0), angle)[0]
        facing = -np.sign(normal @ np.asarray(canvas.domain.sun))
        for side in (-1, 1):
            half = canvas.pose(rectangle(length, width / 2) + (0, side * width / 4), centre, angle)
            canvas.fill(half, tuple(min(255, c * (1.12 if side == facing else 0.74)) for c in roof))
        return True
    canvas.fill(canvas.pose(rectangle(length, width), centre, angle), tuple(0.72 * c for c in roof))
    canvas.fill(canvas.pose(rectangle(length - 1.6, width - 1.6), centre, angle), roof)
    for _ in range(rng.integers(2, 6)):  # skylights and ventilation: as large and as bright as a car
        offset = rng.uniform(-0.38, 0.38, 2) * (length, width)
        part = canvas.pose(rectangle(*rng.uniform(2, 6, 2)) + offset, centre, angle)
        canvas.shadow(part, 1.2)
        canvas.fill(part, canvas.pick([(214, 216, 214), (70, 72, 76), tuple(0.85 * c for c in roof)]))
    return True
