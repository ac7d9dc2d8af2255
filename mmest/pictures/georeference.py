"""Where the pixels of an image lie on the ground."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mmest.pictures.decoders.raster import rasterio
from mmest.pictures.tiff import is_tiff, read_tiff_header

# World files that lie beside an image of an ending: x.tfw beside x.tif.
_WORLD = {
    '.tif': ('.tfw', '.tifw', '.wld'),
    '.tiff': ('.tfw', '.tiffw', '.wld'),
    '.png': ('.pgw', '.pngw', '.wld'),
    '.jpg': ('.jgw', '.jpgw', '.wld'),
    '.jpeg': ('.jgw', '.jpegw', '.wld'),
}
Affine = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Georeference:
    """As far as a file and those beside it tell.

    Attributes:
        coordinates: what :meth:`locate` gives: ``longitude, latitude``, ``map`` or ``pixels``.
        affine: x = a·column + b·row + c, y = d·column + e·row + f, as (a, b, c, d, e, f).
        crs: of rasterio, of ``affine`` or of ``control_points``.
        control_points: of rasterio, where there is no ``affine``.
        note: what of the georeference is not used, and why.
    """

    coordinates: str = 'pixels'
    affine: Affine | None = None
    crs: Any = None
    control_points: Sequence[Any] = field(default=())
    note: str = ''

    def locate(self, points: np.ndarray) -> np.ndarray:
        """N×2 columns and rows of one object as N×2 coordinates. The middle of its longitudes is between -180 and 180,
        also where the file counts them from 0 to 360.
        """
        if self.coordinates == 'pixels':
            return np.asarray(points, float)
        if self.coordinates == 'map':
            return _locate(points, self.affine, self.control_points, None)
        located = _locate(points, self.affine, self.control_points, self.crs)
        # Not each point by itself: what lies across the 180th meridian would reach around the world.
        located[:, 0] -= 360 * np.round(located[:, 0].mean() / 360)
        return located


def read_georeference(path: Path | None, size: tuple[int, int], turned: bool) -> Georeference:
    """The georeference of an image.

    Args:
        path: of the file; None for one in memory.
        size: its width and height in pixels.
        turned: whether its EXIF orientation turns it.
    """
    if path is None:
        return Georeference()
    world = _world_file(path)
    if turned:
        return Georeference(note='its georeference is left out, as its EXIF orientation turns it' if world else '')
    if rasterio is None:
        if _has_geo_keys(path):
            return Georeference(
                note='its georeference is left out, as rasterio is not installed (pip install rasterio)'
            )
        return _with_world_file(world)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        try:
            with rasterio.open(path) as raster:
                points, points_crs = raster.gcps
                crs, affine = raster.crs, None if raster.transform.is_identity else tuple(raster.transform)[:6]
                rational = raster.rpcs is not None
        except rasterio.errors.RasterioError:  # a format that GDAL does not know
            return _with_world_file(world)
    if affine is None and not points:
        note = 'its rational polynomials (RPC) are left out: rectify it first' if rational else ''
        return Georeference(note=note)
    crs, points = (crs, ()) if affine else (points_crs, points)
    return _with_way_to_earth(affine, crs, points, size)


def _with_way_to_earth(affine: Affine | None, crs: Any, points: Sequence[Any], size: tuple[int, int]) -> Georeference:
    if not crs:
        return Georeference(
            'map', affine, None, points, 'its coordinates are those of a map whose CRS it does not name'
        )
    corners = np.array([(x, y) for x in (0, size[0] / 2, size[0]) for y in (0, size[1] / 2, size[1])])
    if _is_located(corners, affine, points, crs):
        return Georeference('longitude, latitude', affine, crs, points)
    if _is_located(corners, affine, points, None):
        note = 'its coordinates are those of its map, as no way leads from its CRS to WGS 84'
        return Georeference('map', affine, crs, points, note)
    return Georeference('pixels', None, crs, points, 'its control points do not tell where pixels between them lie')


def _is_located(corners: np.ndarray, affine: Affine | None, points: Sequence[Any], crs: Any) -> bool:
    try:
        return bool(np.isfinite(_locate(corners, affine, points, crs)).all())
    except Exception:  # GDAL's own errors come through rasterio as they are
        return False


def _locate(points: np.ndarray, affine: Affine | None, control_points: Sequence[Any], crs: Any) -> np.ndarray:
    """Coordinates on the map, or with a CRS longitude and latitude."""
    columns, rows = np.asarray(points, float).reshape(-1, 2).T
    if affine:
        a, b, c, d, e, f = affine
        x, y = a * columns + b * rows + c, d * columns + e * rows + f
    else:
        from rasterio.transform import GCPTransformer

        with GCPTransformer(control_points) as transformer:
            x, y = transformer.xy(rows, columns, offset='ul')
    if crs:
        import rasterio.warp

        x, y = rasterio.warp.transform(crs, 'EPSG:4326', x, y)
    return np.stack([np.asarray(x, float), np.asarray(y, float)], 1)


def _world_file(path: Path) -> Path | None:
    endings = _WORLD.get(path.suffix.lower(), ('.wld',))
    beside = [path.with_suffix(case(ending)) for ending in endings for case in (str.lower, str.upper)]
    return next((file for file in beside if file.is_file()), None)


def _with_world_file(world: Path | None) -> Georeference:
    if world is None:
        return Georeference()
    try:
        a, d, b, e, c, f = (float(line) for line in world.read_text().split())
    except (OSError, ValueError):
        return Georeference(note=f'the world file {world.name} is left out, as it does not hold six numbers')
    # A world file places the middle of the first pixel.
    return _with_way_to_earth((a, b, c - (a + b) / 2, d, e, f - (d + e) / 2), None, (), (0, 0))


def _has_geo_keys(path: Path) -> bool:
    with path.open('rb') as stream:
        if not is_tiff(stream.read(16)):
            return False
        stream.seek(0)
        return read_tiff_header(stream, str(path)).georeferenced
