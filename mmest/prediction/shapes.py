"""Instance masks as polygons, which keep their form where tiles are joined."""

import numpy as np
import shapely


def shape_of_mask(mask: np.ndarray) -> shapely.Geometry:
    """The ground that an H×W bool mask covers, in pixels: along their edges, in one part or several, with holes."""
    steps = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, begins = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return shapely.simplify(shapely.union_all(shapely.box(begins, rows, ends, rows + 1)), 0)


def polygons_of(shape: shapely.Geometry) -> list[shapely.Polygon]:
    """Its polygons, without points and lines, each with its outer ring anticlockwise."""
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == 'Polygon' and part.area > 0]
    return [shapely.geometry.polygon.orient(part) for part in parts]
