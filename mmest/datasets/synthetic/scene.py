"""A scene: what stands where, and the picture, masks and boxes that come of it."""

from dataclasses import dataclass

import cv2
import numpy as np

from . import clutter, land, objects
from .canvas import CLASSES, SUPERSAMPLING, Canvas
from .domains import Domain
from .sensor import expose


@dataclass(frozen=True)
class Scene:
    """One finished picture.

    Attributes:
        image: uint8 RGB, shape (H, W, 3).
        semantic: uint8 (H, W), index into CLASSES.
        instance: uint8 (H, W), 0 where no object is, else 1 + index into ``categories``.
        categories: index into OBJECT_CLASSES of each object; one that shows in no pixel has no box.
    """

    image: np.ndarray
    semantic: np.ndarray
    instance: np.ndarray
    categories: tuple[int, ...]

    def boxes(self) -> list[tuple[int, tuple[int, int, int, int], int]]:
        """(category, (x, y, width, height), area) of every visible object, in pixels; boxes are tight."""
        found = []
        for number, category in enumerate(self.categories, start=1):
            pixels = (self.instance == number).astype(np.uint8)
            area = int(pixels.sum())
            if area:
                found.append((category, cv2.boundingRect(pixels), area))
        return found


def render(domain: Domain, seed, size: int = 128) -> Scene:
    """Render the scene of a seed as one domain sees it.

    Args:
        domain: Season, materials, sun and sensor.
        seed: anything that ``numpy.random.default_rng`` takes; the same seed gives the same bytes.
        size: side of the picture, in pixels.

    Returns:
        The scene, with its labels.
    """
    canvas = Canvas(size, domain, np.random.default_rng(seed))
    theme = canvas.pick((_airport, _airport, _harbour, _harbour, _town, _industry, _industry, _countryside))
    theme(canvas)
    rgb = cv2.resize(canvas.rgb, (size, size), interpolation=cv2.INTER_AREA)
    middle = slice(SUPERSAMPLING // 2, None, SUPERSAMPLING)
    return Scene(
        expose(rgb, domain, canvas.rng),
        canvas.semantic[middle, middle].copy(),
        canvas.instance[middle, middle].copy(),
        tuple(canvas.categories),
    )


def _is(canvas: Canvas, *labels: str) -> np.ndarray:
    return np.isin(canvas.semantic, [CLASSES.index(label) for label in labels])


def _somewhere(canvas: Canvas, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    return canvas.rng.uniform(low, high, 2) * canvas.side


def _airport(canvas: Canvas) -> None:
    rng = canvas.rng
    land.ground(canvas)
    angle = rng.uniform(0, 2 * np.pi)
    length, width = rng.uniform(80, 120), rng.uniform(60, 85)
    middle = _somewhere(canvas, 0.35, 0.65)
    apron = canvas.pose(objects.rectangle(length, width), middle, angle)
    land.pavement(canvas, apron, canvas.pick(('concrete', 'asphalt')), joints=12)
    for offset in (-0.12, 0.3):  # taxi lines
        stripe = canvas.pose(objects.rectangle(length, 0.7) + (0, offset * width), middle, angle)
        canvas.fill(stripe, (226, 190, 70))
    for side in (-1, 1):
        for x in (-0.3, 0.25):
            place = canvas.pose([(x * length, side * (0.5 * width + 14))], middle, angle)[0]
            land.building(canvas, place, angle, rng.uniform((22, 14), (40, 20)), _is(canvas, 'ground'))
    line = land.road(canvas, canvas.pose([(0.5 * length + 16, 0)], middle, angle)[0], angle + np.pi / 2)
    land.lane_markings(canvas, line)
    canvas.occupied[_is(canvas, 'road')] = 0
    paved = _is(canvas, 'road')
    heading = angle + canvas.pick((np.pi / 2, -np.pi / 2))
    for row in (-0.24, 0.24):
        for x in np.arange(-0.36, 0.4, 0.24):
            if rng.random() < 0.62:
                place = canvas.pose([(x * length, row * width)], middle, angle)[0]
                turn = heading + (rng.normal(0, 0.12) if rng.random() < 0.8 else rng.uniform(0, 2 * np.pi))
                objects.plane(canvas, place, turn, paved)
    _traffic(canvas, [line], 5)
    for _ in range(8):  # service vehicles
        objects.vehicle(
            canvas,
            canvas.pose(rng.uniform(-0.48, 0.48, (1, 2)) * (length, width), middle, angle)[0],
            rng.uniform(0, 2 * np.pi),
            paved,
        )
    clutter.scatter(canvas, 5)
    land.scattered_trees(canvas, 8)
    land.woods(canvas, rng.uniform(0, 0.2))


def _harbour(canvas: Canvas) -> None:
    rng = canvas.rng
    quay = rng.random() < 0.5
    land.ground(canvas)
    land.water(canvas, rng.uniform(0.4, 0.72), quay)
    dry = _is(canvas, 'ground')
    for _ in range(14):
        objects.ship(canvas, _somewhere(canvas), rng.uniform(0, 2 * np.pi), _is(canvas, 'water'))
        if len(canvas.categories) >= 6:
            break
    if quay:
        _tank_farm(canvas, int(rng.integers(0, 5)))
    for _ in range(8):
        land.building(canvas, _somewhere(canvas), rng.uniform(0, np.pi), rng.uniform((14, 10), (34, 18)), dry)
    for _ in range(12):
        objects.vehicle(canvas, _somewhere(canvas), rng.uniform(0, 2 * np.pi), _is(canvas, 'ground', 'road'))
    clutter.scatter(canvas, 8)
    land.scattered_trees(canvas, 6)
    land.woods(canvas, rng.uniform(0.1, 0.5))


def _town(canvas: Canvas) -> None:
    rng = canvas.rng
    land.ground(canvas)
    angle = rng.uniform(0, np.pi)
    middle = _somewhere(canvas, 0.3, 0.7)
    lines = [land.road(canvas, middle, angle, rng.uniform(-0.25, 0.25))]
    if rng.random() < 0.8:
        lines.append(land.road(canvas, middle, angle + np.pi / 2 + rng.uniform(-0.2, 0.2)))
    for line in lines:
        land.lane_markings(canvas, line)
    lot = _car_park(canvas, angle)
    for line in lines:
        for point, after in zip(line[:-1:2], line[1::2]):
            ahead = np.arctan2(*(after - point)[::-1])
            for side in (-1, 1):
                size = rng.uniform((13, 10), (24, 16))
                place = canvas.pose([(0, side * (land.ROAD_WIDTH / 2 + 5 + size[1] / 2))], point, ahead)[0]
                land.building(canvas, place, ahead, size, _is(canvas, 'ground'))
    for _ in range(10):
        land.building(canvas, _somewhere(canvas), angle, rng.uniform((12, 10), (26, 16)), _is(canvas, 'ground'))
    _traffic(canvas, lines, 9)
    if lot is not None:
        for place in lot:
            if rng.random() < 0.7:
                objects.vehicle(canvas, place, angle + np.pi / 2 + canvas.pick((0, np.pi)), _is(canvas, 'road'))
    clutter.scatter(canvas, 4)
    land.scattered_trees(canvas, 26)
    land.woods(canvas, rng.uniform(0, 0.2))


def _industry(canvas: Canvas) -> None:
    rng = canvas.rng
    land.ground(canvas)
    angle = rng.uniform(0, np.pi)
    line = land.road(canvas, _somewhere(canvas, 0.2, 0.8), angle)
    land.lane_markings(canvas, line)
    _tank_farm(canvas, int(rng.integers(3, 9)))
    for _ in range(12):
        turn = angle + canvas.pick((0, np.pi / 2))
        land.building(canvas, _somewhere(canvas), turn, rng.uniform((24, 14), (46, 26)), _is(canvas, 'ground'))
    _traffic(canvas, [line], 8)
    for _ in range(8):
        objects.vehicle(canvas, _somewhere(canvas), angle + canvas.pick((0, np.pi / 2)), _is(canvas, 'ground'))
    clutter.scatter(canvas, 8)
    land.scattered_trees(canvas, 10)
    land.woods(canvas, rng.uniform(0, 0.25))


def _countryside(canvas: Canvas) -> None:
    rng = canvas.rng
    land.ground(canvas, fields=5)
    if rng.random() < 0.5:
        land.water(canvas, rng.uniform(0.15, 0.35))
    line = land.road(canvas, _somewhere(canvas, 0.2, 0.8), rng.uniform(0, np.pi), rng.uniform(-0.4, 0.4))
    land.lane_markings(canvas, line)
    for _ in range(5):
        land.building(
            canvas, _somewhere(canvas), rng.uniform(0, np.pi), rng.uniform((12, 9), (26, 14)), _is(canvas, 'ground')
        )
    _traffic(canvas, [line], 6)
    for _ in range(3):
        objects.ship(canvas, _somewhere(canvas), rng.uniform(0, 2 * np.pi), _is(canvas, 'water'))
    if rng.random() < 0.4:
        _tank_farm(canvas, 2)
    for _ in range(2):  # a grass strip
        objects.plane(canvas, _somewhere(canvas), rng.uniform(0, 2 * np.pi), _is(canvas, 'ground'))
    clutter.scatter(canvas, 8)
    land.scattered_trees(canvas, 14)
    land.woods(canvas, rng.uniform(0.2, 0.6))


def _traffic(canvas: Canvas, lines, count: int) -> None:
    """Vehicles in the lanes of the roads, driving on the right."""
    roads = _is(canvas, 'road', 'vehicle')
    for line in lines:
        canvas.occupied[canvas.semantic == CLASSES.index('road')] = 0
        for _ in range(count):
            step = canvas.rng.integers(len(line) - 1)
            ahead = np.arctan2(*(line[step + 1] - line[step])[::-1])
            lane = canvas.pick((-1, 1))
            place = canvas.pose([(0, lane * land.ROAD_WIDTH / 4)], line[step], ahead)[0]
            objects.vehicle(canvas, place, ahead if lane > 0 else ahead + np.pi, roads)


def _car_park(canvas: Canvas, angle: float):
    """A paved lot with marked slots where there is room for it: the middles of the slots (samples), or None."""
    for _ in range(12):
        middle, columns = _somewhere(canvas, 0.15, 0.85), int(canvas.rng.integers(5, 8))
        outline = canvas.pose(objects.rectangle(columns * 7, 30), middle, angle)
        if canvas.is_free(outline, _is(canvas, 'ground')):
            break
    else:
        return None
    land.pavement(canvas, outline, 'asphalt')
    slots = []
    for side in (-1, 1):
        for column in range(columns):
            x = (column - (columns - 1) / 2) * 7
            mark = canvas.pose(objects.rectangle(0.5, 11) + (x - 3.5, side * 9), middle, angle)
            canvas.fill(mark, canvas.domain.marking)
            slots.append(canvas.pose([(x, side * 9)], middle, angle)[0])
    return slots


def _tank_farm(canvas: Canvas, count: int) -> None:
    """Up to ``count`` tanks in rows on a paved yard where there is room for it."""
    rng = canvas.rng
    if count == 0:
        return
    diameter, columns = rng.uniform(11, 22), int(np.ceil(count / 2))
    pitch, angle = diameter * 1.35, rng.uniform(0, np.pi)
    rows = min(count, 2)
    for _ in range(20):
        middle = _somewhere(canvas, 0.15, 0.85)
        yard = canvas.pose(objects.rectangle(columns * pitch + 4, rows * pitch + 4), middle, angle)
        if canvas.is_free(yard, _is(canvas, 'ground')):
            break
    else:
        return
    land.pavement(canvas, yard, 'concrete')
    paved = _is(canvas, 'road')
    for index in range(count):
        column, row = divmod(index, rows)
        offset = np.array([column - (columns - 1) / 2, row - (rows - 1) / 2]) * pitch
        size = diameter * rng.uniform(0.75, 1.1)
        objects.storage_tank(canvas, canvas.pose([offset], middle, angle)[0], size, paved)
    canvas.occupy(yard)
