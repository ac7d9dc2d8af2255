"""The canvas: a supersampled picture with the semantic class and the instance of each of its pixels."""

import cv2
import numpy as np

from .domains import Domain
from .textures import fractal_noise

# Samples per pixel and axis. Odd, so that one sample lies in the middle of a pixel: that one gives the pixel's label.
SUPERSAMPLING = 3

LAND_CLASSES = ('ground', 'road', 'building', 'vegetation', 'water')
OBJECT_CLASSES = ('plane', 'ship', 'vehicle', 'storage-tank')
CLASSES = LAND_CLASSES + OBJECT_CLASSES
# RGB, in the order of CLASSES.
PALETTE = (
    (214, 196, 150),
    (112, 112, 122),
    (206, 112, 88),
    (64, 132, 66),
    (62, 116, 178),
    (250, 250, 250),
    (250, 190, 40),
    (230, 50, 60),
    (170, 90, 200),
)


class Canvas:
    """A square scene under construction.

    Args:
        size: side of the final picture, in pixels.
        domain: looks of the scene.
        rng: source of all randomness of the scene.

    Attributes:
        side: side of the canvas, in samples.
        unit: samples per scene unit.
        rgb: uint8 (side, side, 3).
        semantic: uint8 (side, side), index into CLASSES.
        instance: uint8 (side, side), 0 where no object is, else 1 + index into ``categories``.
        occupied: uint8 (side, side), 1 where something stands already.
        categories: index into OBJECT_CLASSES of each instance.
    """

    def __init__(self, size: int, domain: Domain, rng: np.random.Generator) -> None:
        self.domain, self.rng = domain, rng
        self.side = size * SUPERSAMPLING
        self.unit = domain.scale * SUPERSAMPLING
        self.rgb = np.zeros((self.side, self.side, 3), np.uint8)
        self.semantic = np.zeros((self.side, self.side), np.uint8)
        self.instance = np.zeros((self.side, self.side), np.uint8)
        self.occupied = np.zeros((self.side, self.side), np.uint8)
        self.categories: list[int] = []

    def noise(self, cell: float, octaves: int = 3) -> np.ndarray:
        """Fractal noise over the canvas; ``cell`` in scene units."""
        return fractal_noise(self.rng, self.side, cell * self.unit, octaves)

    def pick(self, options):
        """One of ``options``."""
        return options[self.rng.integers(len(options))]

    def tint(self, colour, spread: float = 8) -> tuple[float, ...]:
        """``colour`` with a random brightness, ``spread`` grey levels either way."""
        return tuple(float(c) for c in np.clip(np.add(colour, self.rng.uniform(-spread, spread)), 0, 255))

    def pose(self, points, centre, angle: float) -> np.ndarray:
        """Scene units around (0, 0), turned by ``angle`` radians, as samples around ``centre``: float (N, 2)."""
        sin, cos = np.sin(angle), np.cos(angle)
        return np.asarray(points, float) @ np.array([[cos, sin], [-sin, cos]]) * self.unit + np.asarray(centre)

    def fill(self, polygon, colour, label: str | None = None) -> None:
        """Paint a polygon given in samples; with ``label`` it also becomes that class of land."""
        corners = [np.round(polygon).astype(np.int32)]
        cv2.fillPoly(self.rgb, corners, colour)
        if label is not None:
            cv2.fillPoly(self.semantic, corners, CLASSES.index(label))

    def cover(self, mask: np.ndarray, texture: np.ndarray, label: str | None = None) -> None:
        """Paint the pixels of a boolean ``mask`` from an H×W×3 ``texture``, or from one colour."""
        texture = np.broadcast_to(np.float32(texture), self.rgb.shape)
        self.rgb[mask] = np.clip(texture[mask], 0, 255).astype(np.uint8)
        if label is not None:
            self.semantic[mask] = CLASSES.index(label)

    def mask(self, polygon) -> np.ndarray:
        """The pixels of a polygon given in samples: boolean (side, side)."""
        inside = np.zeros((self.side, self.side), np.uint8)
        cv2.fillPoly(inside, [np.round(polygon).astype(np.int32)], 1)
        return inside > 0

    def blend(self, mask: np.ndarray, colour, weight) -> None:
        """Mix ``colour`` into the pixels of a boolean ``mask``; ``weight`` in [0, 1], a number or an H×W array."""
        weight = np.broadcast_to(np.float32(weight), mask.shape)[mask][:, None]
        self.rgb[mask] = (self.rgb[mask] * (1 - weight) + np.float32(colour) * weight).astype(np.uint8)

    def shadow(self, polygon, height: float) -> None:
        """Darken what lies in the shadow of a polygon (samples) that stands ``height`` scene units high."""
        reach = np.asarray(self.domain.sun) * self.domain.shadow_length * height * self.unit
        steps = max(2, int(np.ceil(np.abs(reach).max() / 4)) + 1)
        swept = [np.round(polygon + reach * step).astype(np.int32) for step in np.linspace(0, 1, steps)]
        (x0, y0), (x1, y1) = np.min(swept, axis=(0, 1)), np.max(swept, axis=(0, 1)) + 1
        x0, y0, x1, y1 = (int(np.clip(v, 0, self.side)) for v in (x0, y0, x1, y1))
        if x1 <= x0 or y1 <= y0:
            return
        shade = np.zeros((y1 - y0, x1 - x0), np.uint8)
        for outline in swept:
            cv2.fillPoly(shade, [outline - (x0, y0)], 1)
        depth = self.domain.shadow_depth
        # Sky light is blue: a shadow loses less of it.
        light = np.where(shade[..., None] > 0, np.float32([1 - depth, 1 - 0.95 * depth, 1 - 0.8 * depth]), 1)
        self.rgb[y0:y1, x0:x1] = (self.rgb[y0:y1, x0:x1] * light).astype(np.uint8)

    def is_free(self, polygon, allowed: np.ndarray, margin: float = 1.0) -> bool:
        """Whether a polygon (samples), grown by ``margin`` scene units, lies on ``allowed`` ground that is not
        occupied.

        What reaches over the edge of the canvas is free; the middle of the polygon must be on the canvas.
        """
        middle = np.mean(polygon, axis=0)
        if not (0.04 * self.side <= middle.min() and middle.max() <= 0.96 * self.side):
            return False
        hull = cv2.convexHull(np.round(polygon).astype(np.int32))
        width = max(1, round(2 * margin * self.unit))
        x, y, w, h = cv2.boundingRect(hull)
        x0, y0 = max(x - width, 0), max(y - width, 0)
        x1, y1 = min(x + w + width, self.side), min(y + h + width, self.side)
        footprint = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(footprint, [hull - (x0, y0)], 1)
        cv2.polylines(footprint, [hull - (x0, y0)], True, 1, width)
        blocked = (self.occupied[y0:y1, x0:x1] > 0) | ~allowed[y0:y1, x0:x1]
        return not blocked[footprint > 0].any()

    def occupy(self, polygon) -> None:
        """Mark the polygon's convex hull as taken."""
        cv2.fillPoly(self.occupied, [cv2.convexHull(np.round(polygon).astype(np.int32))], 1)

    def add_instance(self, category: str, outline) -> None:
        """Label an object: its class, and its pixels (the polygons of ``outline``, in samples)."""
        self.categories.append(OBJECT_CLASSES.index(category))
        for polygon in outline:
            corners = [np.round(polygon).astype(np.int32)]
            cv2.fillPoly(self.semantic, corners, CLASSES.index(category))
            cv2.fillPoly(self.instance, corners, len(self.categories))
            self.occupy(polygon)
