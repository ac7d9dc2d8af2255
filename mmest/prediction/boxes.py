"""Objects of a whole image: GeoJSON, COCO, and an overlay."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
from mmengine.logging import print_log

from mmest.datasets.own.results import note_results
from mmest.files import write_bytes, write_json
from mmest.pictures import ImageFile
from mmest.prediction.model import Detections, Model
from mmest.prediction.overlay import Overlay
from mmest.prediction.shapes import polygons_of
from mmest.prediction.steps import Steps, finish
from mmest.tiles.geometry import ORIENTED, Geometry
from mmest.tiles.merge import merge_objects
from mmest.tiles.parts import tiles_with_parts

_DATA = 0.5  # an object of which less lies on ground with data is none


@dataclass(frozen=True)
class _Object:
    label: int
    score: float
    box: np.ndarray
    shape: shapely.Geometry | None
    corners: np.ndarray  # 4×2

    @property
    def polygons(self) -> list[shapely.Polygon]:
        return polygons_of(self.shape if self.shape is not None else shapely.Polygon(self.corners))


def predict_boxes(
    model: Model, image: ImageFile, out: Path, tile: int, overlap: int, score: float, progress: Callable[[], None]
) -> list[Path]:
    """:func:`detecting`, to the end; ``progress`` is called after each tile."""
    return finish(detecting(model, image, out, tile, overlap, score), progress)


def detecting(
    model: Model,
    image: ImageFile,
    out: Path,
    tile: int,
    overlap: int,
    score: float,
    options: Mapping[str, Any] | None = None,
) -> Steps:
    """Detect in tiles, merge, and write ``<name>.geojson``, ``<name>_coco.json`` and ``<name>_overlay.png``.

    Objects on ground without data are left out. Of a model that predicts instance masks, these are the geometry, joined
    across tiles as the boxes are. Where a tile may hold more objects than the model gives, that is said.

    Args:
        model: a detector.
        image: the image.
        out: folder to write to.
        tile: side of a tile.
        overlap: of tiles.
        score: detections below are left out.
        options: what the overlay says that it was made with, by name.
    """
    overlay, patches, shapes, full = Overlay(image.width, image.height), [], [], 0
    for box, part in tiles_with_parts(image.width, image.height, tile, overlap):
        pixels, valid = image.read(box), image.valid(box)
        seen = model.detect(pixels)
        full += bool(model.most and len(seen.scores) >= model.most and seen.scores.min() >= score)
        found = _kept(seen, score, valid, model.geometry)
        patches.append(
            dict(
                patch=box,
                boxes=found.boxes + np.tile(box[:2], model.geometry.columns // 2),
                scores=found.scores,
                labels=found.labels,
            )
        )
        if found.shapes is not None:
            shapes += [shapely.affinity.translate(shape, *box[:2]) for shape in found.shapes]
        inside = np.s_[part[1] - box[1] : part[3] - box[1], part[0] - box[0] : part[2] - box[0]]
        overlay.add(part, pixels[inside], None if valid is None else valid[inside])
        yield
    if full:
        print_log(
            f'{image.name}: the {model.most} objects that the model gives for a tile at most fill {full} of '
            f'{len(patches)} tiles, so more may be there. Take smaller tiles: --tile {max(32, tile // 2)}.',
            'current',
            logging.WARNING,
        )
    objects = [
        _Object(
            one.label,
            one.score,
            one.box,
            shapely.union_all([shapes[member] for member in one.members]) if shapes else None,
            model.geometry.corners(one.box[None])[0].reshape(4, 2),
        )
        for one in merge_objects(patches, len(model.classes), geometry=model.geometry)
    ]
    for one in sorted(objects, key=lambda one: -one.score):
        rings = [shapely.get_coordinates(ring) for part in one.polygons for ring in (part.exterior, *part.interiors)]
        overlay.outline(rings or [one.corners], model.palette[one.label], f'{one.score:.2f}')
    present = sorted({one.label for one in objects})
    overlay.legend([model.classes[label] for label in present] or ['nothing found'], _or_white(model.palette[present]))
    stem = image.path.stem
    paths = [out / f'{stem}.geojson', out / f'{stem}_coco.json', out / f'{stem}_overlay.png']
    note_results(paths)
    write_json(paths[0], _geojson(objects, image, model), indent=None)
    write_json(paths[1], _coco(objects, image, model), indent=None)
    write_bytes(paths[2], overlay.png(options or {}))
    return paths


def _or_white(colours: np.ndarray) -> np.ndarray:
    return colours if len(colours) else np.full((1, 3), 255, np.uint8)


def _kept(found: Detections, score: float, valid: np.ndarray | None, geometry: Geometry) -> Detections:
    """Those that score enough, on ground with data."""
    kept = found.scores >= score
    if valid is not None:
        corners = geometry.corners(found.boxes).reshape(-1, 4, 2)
        for number in np.flatnonzero(kept):
            kept[number] = _share_with_data(corners[number], valid) >= _DATA
    shapes = found.shapes[kept] if found.shapes is not None else None
    return Detections(found.boxes[kept], found.scores[kept], found.labels[kept], shapes)


def _share_with_data(corners: np.ndarray, valid: np.ndarray) -> float:
    low = np.clip(np.floor(corners.min(0)).astype(int), 0, [side - 1 for side in valid.shape[::-1]])
    high = np.maximum(np.clip(np.ceil(corners.max(0)).astype(int), 0, valid.shape[::-1]), low + 1)
    shown = np.zeros((high - low)[::-1], np.uint8)
    cv2.fillConvexPoly(shown, np.round(corners - low - 0.5).astype(np.int32), 1)
    inside = valid[low[1] : high[1], low[0] : high[0]]
    return float(inside[shown > 0].mean()) if shown.any() else float(inside.mean())


def _geojson(objects: list[_Object], image: ImageFile, model: Model) -> dict:
    """Longitude and latitude, as the format wants; coordinates of the map, or pixels, where there is no way to them."""
    ground = image.georeference
    features = []
    for one in objects:
        parts = [
            [ring.tolist() for ring in _rings(shapely.transform(polygon, ground.locate))] for polygon in one.polygons
        ]
        geometry = dict(type='Polygon', coordinates=parts[0]) if len(parts) == 1 else None
        features.append(
            dict(
                type='Feature',
                geometry=geometry or dict(type='MultiPolygon', coordinates=parts),
                properties={'class': model.classes[one.label], 'score': round(one.score, 4)},
            )
        )
    content = dict(type='FeatureCollection', name=image.path.stem, features=features, coordinates=ground.coordinates)
    if ground.coordinates == 'map' and ground.crs:
        content['crs'] = dict(type='name', properties=dict(name=ground.crs.to_string()))
    return content


def _rings(polygon: shapely.Polygon) -> list[np.ndarray]:
    """The outer ring anticlockwise, those of holes clockwise."""
    polygon = polygons_of(polygon)[0] if polygon.area else polygon
    return [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]


def _coco(objects: list[_Object], image: ImageFile, model: Model) -> dict:
    """Boxes, and polygons of what has them; COCO's polygons have no holes."""
    boxes = model.geometry.bounds(np.array([one.box for one in objects]).reshape(-1, model.geometry.columns))
    annotations = []
    for number, (one, box) in enumerate(zip(objects, boxes), start=1):
        sides = box[2:] - box[:2]
        made = dict(
            id=number,
            image_id=1,
            category_id=one.label + 1,
            score=one.score,
            iscrowd=0,
            bbox=[*map(float, box[:2]), *map(float, sides)],
            area=float(sides.prod()),
        )
        if one.shape is not None:
            outer = [shapely.Polygon(polygon.exterior) for polygon in one.polygons]
            made['segmentation'] = [shapely.get_coordinates(part)[:-1].ravel().tolist() for part in outer]
            made['area'] = float(sum(part.area for part in outer))
        elif model.geometry is ORIENTED:
            made['segmentation'] = [one.corners.ravel().tolist()]
            made['area'] = float(shapely.Polygon(one.corners).area)
        annotations.append(made)
    return dict(
        images=[dict(id=1, file_name=image.path.name, width=image.width, height=image.height)],
        annotations=annotations,
        categories=[dict(id=number, name=name) for number, name in enumerate(model.classes, start=1)],
    )
