"""Georeferenced rasters with vector labels, drawn here."""

from pathlib import Path

import numpy as np
import pyogrio
import rasterio
import shapely
from rasterio.transform import from_origin
from rasterio.warp import transform

GROUND = 'EPSG:32633'
LEFT, TOP, METRE = 500_000.0, 5_300_000.0, 0.5
KINDS = ('building', 'pool')
Box = tuple[int, int, int, int, int]


def boxes(width: int, height: int, seed: int = 0) -> list[Box]:
    """Rectangles in pixels, one in most cells of a grid of 40."""
    random = np.random.default_rng(seed)
    found = []
    for y in range(0, height - 40, 40):
        for x in range(0, width - 40, 40):
            w, h = random.integers(8, 30, 2)
            if random.random() < 0.8:
                found.append((int(random.integers(2)), x + 4, y + 4, int(x + 4 + w), int(y + 4 + h)))
    return found


def raster(path: Path, width: int, height: int, found: list[Box], left: float = LEFT) -> None:
    """A GeoTIFF of three bands; the rectangles are bright."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(1).integers(40, 80, (3, height, width), dtype=np.uint8)
    for kind, x0, y0, x1, y1 in found:
        pixels[kind, y0:y1, x0:x1] = 230
    with rasterio.open(
        path, 'w', driver='GTiff', width=width, height=height, count=3, dtype='uint8', crs=GROUND,
        transform=from_origin(left, TOP, METRE, METRE),
    ) as out:  # fmt: skip
        out.write(pixels)


def polygons(found: list[Box], left: float = LEFT, crs: str = GROUND) -> np.ndarray:
    """The rectangles on the ground."""
    shapes = []
    for _, x0, y0, x1, y1 in found:
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
        xs, ys = zip(*((left + x * METRE, TOP - y * METRE) for x, y in corners))
        shapes.append(shapely.Polygon(np.array(transform(GROUND, crs, xs, ys)).T))
    return np.array(shapes)


def vectors(path: Path, shapes: np.ndarray, names: list[str] | np.ndarray | None, crs: str = GROUND, **more) -> None:
    """A vector file of polygons; ``names`` fill its column "class", an array as what it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = (
        [names if isinstance(names, np.ndarray) else np.array(names, object)]
        if names is not None
        else [np.arange(len(shapes))]
    )
    pyogrio.raw.write(
        path,
        shapely.to_wkb(shapes),
        columns,
        ['class' if names is not None else 'number'],
        geometry_type='Polygon',
        crs=crs,
        **more,
    )
