"""Georeferenced rasters with vector labels: GeoTIFF with GeoPackage, GeoJSON or shapefile."""

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import shapely

from mmest.datasets.own.class_columns import class_name, class_values, is_empty
from mmest.datasets.own.results import visible_files
from mmest.datasets.own.same_ground import Ground, without_mosaics
from mmest.datasets.own.same_polygons import once
from mmest.datasets.own.sample import Notes, OwnData, Sample, Thing, polygons_of, some, split_of

try:
    import pyogrio
    import rasterio
    import rasterio.warp
except ImportError:
    pyogrio = rasterio = None

NAME = 'georeferenced rasters with vector labels'
_RASTERS = ('.tif', '.tiff', '.jp2', '.vrt', '.img')
#: Known, but not read: a .vrt shows other files, as a mosaic those beside it.
_UNREAD = ('.vrt', '.img')
_VECTORS = ('.gpkg', '.geojson', '.shp', '.fgb', '.json', '.kml', '.gml')


def finds(path: Path) -> bool:
    """Whether there are rasters with vector files."""
    rasters, vectors = _files(path)
    return bool(rasters and vectors)


def _files(path: Path) -> tuple[list[Path], list[Path]]:
    """Rasters and vectors of a folder. A file that is named stands alone among those of its kind."""
    folder = path.parent if path.is_file() else path
    files = sorted(visible_files(folder, levels=None if path.is_dir() else 1))
    rasters = [file for file in files if file.suffix.lower() in _RASTERS]
    vectors = [file for file in files if file.suffix.lower() in _VECTORS and _is_vector(file)]
    if path.is_file():
        if path.suffix.lower() in _RASTERS:
            rasters = [path]
            vectors = [file for file in vectors if file.stem == path.stem] or vectors
        elif path.suffix.lower() in _VECTORS:
            rasters, vectors = [file for file in rasters if file.stem == path.stem] or rasters, [path]
        else:
            return [], []
    return rasters, vectors


def _is_vector(file: Path) -> bool:
    if file.suffix.lower() != '.json':
        return True
    with file.open('rb') as stream:
        return b'"FeatureCollection"' in stream.read(4096)


def read(path: Path) -> OwnData:
    """Read rasters and the polygons on them.

    Raises:
        FileNotFoundError: rasterio or pyogrio is not installed.
        ValueError: a file cannot be read, or no raster is of a format that is; no raster has a georeference; no polygon
            lies on a raster.
    """
    if rasterio is None:
        raise FileNotFoundError(
            'Georeferenced rasters with vector labels need rasterio and pyogrio, of which one is not installed: '
            "pip install 'mmest[geo]'"
        )
    root = path.parent if path.is_file() else path
    rasters, vectors = _files(path)
    notes = Notes()
    unread = [file for file in rasters if file.suffix.lower() in _UNREAD]
    if len(unread) == len(rasters):
        raise ValueError(
            f'{unread[0]} is of a format that is not read. Make a GeoTIFF of it: gdal_translate {unread[0].name} '
            f'{unread[0].stem}.tif'
        )
    for file in unread:
        rasters.remove(file)
        notes.count('rasters of formats that are not read, left out (gdal_translate makes GeoTIFF)', file.name)
    layers = [layer for file in vectors for layer in _layers(file, notes)]
    classes = sorted({name for layer in layers for name in layer.names})
    grounds = [ground for file in rasters if (ground := _ground(file, root, layers, classes, notes))]
    samples = []
    for sample in without_mosaics(grounds, notes):
        if sample.objects:
            samples.append(sample)
            _warn_of_blank_ground(sample, notes)
        else:
            notes.count('rasters on which no polygon lies, left out', sample.image.name)
    if not samples:
        raise ValueError(
            f'None of the polygons of {some([str(file) for file in vectors])} lies on '
            f'{some([str(file) for file in rasters])}. Check the coordinate reference systems of both.'
        )
    return OwnData(root, NAME, classes, samples, 'outlines', notes, rasters=True)


class _Layer:
    """Polygons of a layer, with the name of each one's class."""

    def __init__(self, file: Path, place: str, shapes: np.ndarray, names: list[str], crs: str) -> None:
        self.file, self.place, self.shapes, self.names, self.crs = file, place, shapes, names, crs
        self._elsewhere: dict[rasterio.crs.CRS, np.ndarray] = {}  # moved once for all rasters of a system

    def on(self, raster: 'rasterio.io.DatasetReader') -> np.ndarray:
        """The shapes in the reference system of a raster.

        Raises:
            ValueError: no way leads there.
        """
        if self.crs == raster.crs:
            return self.shapes
        with contextlib.suppress(Exception):  # GDAL's own errors come through rasterio as they are
            if raster.crs not in self._elsewhere:
                self._elsewhere[raster.crs] = self._moved(self.shapes, raster.crs)
            return self._elsewhere[raster.crs]
        try:  # of shapes all over the world some are beyond what the raster's system can say
            return self._moved(shapely.intersection(self.shapes, _around(raster, self.crs)), raster.crs)
        except Exception as error:
            raise ValueError(
                f'{self.file} cannot be moved to the coordinate reference system of {raster.name} ({error}). Write it '
                'in that system, such as with ogr2ogr -t_srs EPSG:NUMBER.'
            ) from error

    def _moved(self, shapes: np.ndarray, crs: 'rasterio.crs.CRS') -> np.ndarray:
        def move(points: np.ndarray) -> np.ndarray:
            moved = np.array(rasterio.warp.transform(self.crs, crs, points[:, 0], points[:, 1])).T
            if not np.isfinite(moved).all():
                raise ValueError('a point has no place there')
            return moved

        return shapely.transform(shapes, move) if shapely.get_num_coordinates(shapes).any() else shapes


def _as_far_east(shapes: np.ndarray, raster: 'rasterio.io.DatasetReader') -> np.ndarray:
    """Shapes west of a raster whose longitudes go beyond 180, counted as there: -170 is 190."""
    west = shapely.bounds(shapes)[:, 2] <= raster.bounds.left
    if not (raster.crs.is_geographic and raster.bounds.right > 180 and west.any()):
        return shapes
    moved = shapes.copy()
    moved[west] = shapely.transform(shapes[west], lambda points: points + (360, 0))
    return moved


def _around(raster: 'rasterio.io.DatasetReader', crs: str) -> shapely.Geometry:
    """The ground of a raster in another reference system, and a tenth more on each side."""
    left, bottom, right, top = rasterio.warp.transform_bounds(raster.crs, crs, *raster.bounds)
    # It may reach over the 180th meridian.
    parts = [(left, right)] if left <= right else [(left, right + 360), (left - 360, right)]
    more = max(parts[0][1] - left, top - bottom) / 10
    return shapely.union_all([shapely.box(x0 - more, bottom - more, x1 + more, top + more) for x0, x1 in parts])


def _layers(file: Path, notes: Notes) -> list[_Layer]:
    try:
        names = [name for name, kind in pyogrio.list_layers(file) if kind is not None]
        read = {name: pyogrio.raw.read(file, layer=name, force_2d=True) for name in names}
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise ValueError(f'{file} cannot be read: {error}. Copy or export it again.') from error
    layers = []
    for name, (meta, _, wkb, columns) in read.items():
        place = f'{file.name}, layer {name}' if len(names) > 1 else file.name
        if meta['crs'] is None:
            raise ValueError(
                f'{place} does not say its coordinate reference system. Write it into the file, such as with '
                'ogr2ogr -a_srs EPSG:NUMBER.'
            )
        shapes = shapely.from_wkb(wkb)
        polygons = np.isin(shapely.get_type_id(shapes), (3, 6))  # POLYGON, MULTIPOLYGON
        for _ in range(int((~polygons).sum())):
            notes.count('points, lines and empty features, left out (draw areas, or buffer them)', place)
        if polygons.any():
            named_by = name if len(names) > 1 else file.stem
            shapes, found = shapes[polygons], {field: cells[polygons] for field, cells in zip(meta['fields'], columns)}
            column, values, passed_over = class_values(found, named_by, len(shapes))
            said = f'classes from the column "{column}" of {place}' if column else f'{place} is one class: {values[0]}'
            notes.say(f'{said} ({"; ".join(passed_over)})' if passed_over else said)
            if 'score' in found:
                notes.say(f'{place} has a column "score", as predictions do: its polygons are taken for labels')
            nameless = np.array([is_empty(value) for value in values])
            for _ in range(int(nameless.sum())):
                notes.count(f'polygons with nothing in the column "{column}", left out', place)
            named = [class_name(value) for value in values if not is_empty(value)]
            layers.append(_Layer(file, place, shapely.make_valid(shapes[~nameless]), named, meta['crs']))
    return layers


def _ground(file: Path, root: Path, layers: list[_Layer], classes: list[str], notes: Notes) -> Ground | None:
    """A raster with the polygons on it; None where it does not say where it lies."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', rasterio.errors.NotGeoreferencedWarning)
        try:
            raster = rasterio.open(file)
        except rasterio.errors.RasterioError as error:
            raise ValueError(f'{file} cannot be read: {error}. Copy or export it again.') from error
    with raster:
        if raster.crs is None:
            notes.count('rasters without a coordinate reference system, left out', file.name)
            return None
        name = file.relative_to(root).as_posix()
        split = split_of(*file.relative_to(root).parent.parts)
        sample = Sample(file, name, raster.width, raster.height, split=split)
        ground = shapely.box(0, 0, raster.width, raster.height)
        corners = shapely.transform(ground, _by(raster.transform))
        place = Ground(sample, raster.crs.to_wkt(), corners, (abs(raster.res[0]), abs(raster.res[1])))
        found = []
        for layer in layers:
            shapes, objects = shapely.transform(_as_far_east(layer.on(raster), raster), _by(~raster.transform)), []
            for index in _near(shapes, raster.width, raster.height):
                label = classes.index(layer.names[index])
                for part in polygons_of(shapely.intersection(shapely.make_valid(shapes[index]), ground)):
                    objects.append(Thing(label, part.bounds, part))
            found.append((layer.place, objects))
        sample.objects = once(found, notes)
    return place


def _by(place: 'rasterio.Affine') -> Callable[[np.ndarray], np.ndarray]:
    """Points, N×2, as an affine transform moves them."""
    turn, shift = np.array([[place.a, place.d], [place.b, place.e]]), np.array([place.c, place.f])
    return lambda points: points @ turn + shift


def _near(shapes: np.ndarray, width: int, height: int) -> list[int]:
    """Which shapes may lie on a raster, by their bounds in its pixels: of many rasters most lie on others."""
    x0, y0, x1, y1 = shapely.bounds(shapes).T
    return np.flatnonzero((x0 < width) & (y0 < height) & (x1 > 0) & (y1 > 0)).tolist()


def _warn_of_blank_ground(sample: Sample, notes: Notes) -> None:
    """Labels that cover one corner alone: the rest would be learnt as background."""
    labelled = shapely.union_all([shapely.box(*one.box) for one in sample.objects]).envelope.area
    if labelled < sample.width * sample.height / 3:
        share = labelled / (sample.width * sample.height)
        notes.say(
            f'the labels of {sample.name} lie within {share:.0%} of it, and all other ground is taken as background: '
            'if it was not looked at, cut the raster first (gdal_translate -projwin)'
        )
