"""Objects of a whole picture: GeoJSON, COCO, and an overlay."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mmest.files import write_bytes, write_json
from mmest.pictures import ImageFile
from mmest.prediction.model import Model
from mmest.prediction.overlay import Overlay
from mmest.tiles.geometry import ORIENTED
from mmest.tiles.merge import merge_patches
from mmest.tiles.parts import tiles_with_parts


def predict_boxes(
    model: Model, picture: ImageFile, out: Path, tile: int, overlap: int, score: float, progress: Callable[[], None]
) -> list[Path]:
    """Detect in tiles, merge, and write ``<name>.geojson``, ``<name>_coco.json`` and ``<name>_overlay.png``.

    Args:
        model: a detector.
        picture: the picture.
        out: folder to write to.
        tile: side of a tile.
        overlap: of tiles.
        score: detections below are left out.
        progress: called after each tile.
    """
    overlay, patches = Overlay(picture.width, picture.height), []
    for box, part in tiles_with_parts(picture.width, picture.height, tile, overlap):
        pixels = picture.read(box)
        boxes, scores, labels = model.boxes(pixels)
        kept = scores >= score
        patches.append(
            dict(
                patch=box,
                boxes=boxes[kept] + np.tile(box[:2], boxes.shape[1] // 2),
                scores=scores[kept],
                labels=labels[kept],
            )
        )
        overlay.add(part, pixels[part[1] - box[1] : part[3] - box[1], part[0] - box[0] : part[2] - box[0]])
        progress()
    found = [
        dict(label=label, box=row[:-1], score=float(row[-1]))
        for label, rows in enumerate(merge_patches(patches, len(model.classes), geometry=model.geometry))
        for row in rows
    ]
    for one in found:
        one['corners'] = model.geometry.corners(one['box'][None])[0]
        overlay.outline(one['corners'], model.palette[one['label']])
    present = sorted({one['label'] for one in found})
    overlay.legend([model.classes[label] for label in present], model.palette[present])
    stem = picture.path.stem
    paths = [out / f'{stem}.geojson', out / f'{stem}_coco.json', out / f'{stem}_overlay.png']
    write_json(paths[0], _geojson(found, picture, model), indent=None)
    write_json(paths[1], _coco(found, picture, model), indent=None)
    write_bytes(paths[2], overlay.png())
    return paths


def _geojson(found: list[dict], picture: ImageFile, model: Model) -> dict:
    """Longitude and latitude, as the format wants; pixels, y downwards, of a picture without a georeference."""
    features = []
    for one in found:
        ring = _anticlockwise(picture.georeference.locate(one['corners'].reshape(4, 2)))
        features.append(
            dict(
                type='Feature',
                geometry=dict(type='Polygon', coordinates=[ring.tolist()]),
                properties={'class': model.classes[one['label']], 'score': round(one['score'], 4)},
            )
        )
    return dict(
        type='FeatureCollection',
        name=picture.path.stem,
        features=features,
        coordinates=picture.georeference.coordinates,
    )


def _anticlockwise(ring: np.ndarray) -> np.ndarray:
    x, y = ring.T
    closed = np.vstack([ring, ring[:1]])
    return closed if x @ np.roll(y, -1) > y @ np.roll(x, -1) else closed[::-1]


def _coco(found: list[dict], picture: ImageFile, model: Model) -> dict:
    boxes = model.geometry.bounds(np.array([one['box'] for one in found]).reshape(-1, model.geometry.columns))
    sides = boxes[:, 2:] - boxes[:, :2]
    corners = [dict(segmentation=[one['corners'].tolist()]) if model.geometry is ORIENTED else {} for one in found]
    return dict(
        images=[dict(id=1, file_name=picture.path.name, width=picture.width, height=picture.height)],
        annotations=[
            dict(
                id=number,
                image_id=1,
                category_id=one['label'] + 1,
                score=one['score'],
                iscrowd=0,
                bbox=[*map(float, box[:2]), *map(float, side)],
                area=float(side.prod()),
                **more,
            )
            for number, (one, box, side, more) in enumerate(zip(found, boxes, sides, corners), start=1)
        ],
        categories=[dict(id=number, name=name) for number, name in enumerate(model.classes, start=1)],
    )
