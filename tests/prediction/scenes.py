"""Scenes of coloured rectangles, and models that see them perfectly."""

import cv2
import numpy as np
import pytest

from mmest.prediction.model import Detections
from mmest.tiles.geometry import ORIENTED, STRAIGHT, smallest_rectangle

COLOURS = np.array([[0, 0, 0], [250, 40, 40], [40, 40, 250]], np.uint8)
RECTANGLES = [
    (1, 20, 30, 60, 80),
    (1, 180, 90, 330, 120),
    (2, 90, 60, 620, 260),
    (1, 640, 290, 660, 299),
    (2, 0, 0, 9, 9),
]
SIZE = (700, 300)


class Colours:
    """Sees coloured rectangles, as a perfect model would: of those that a tile cuts it sees the pieces."""

    geometry, detects, classes, palette, tile, most = STRAIGHT, True, ('sky', 'red', 'blue'), COLOURS, 200, None
    lowest_score = 0.05

    def mask(self, tile):
        return (tile[:, :, None] == COLOURS).all(-1).argmax(-1).astype(np.uint8)

    def detect(self, tile):
        found = [
            (label, *cv2.boundingRect(part))
            for label in (1, 2)
            for part in cv2.findContours(
                (self.mask(tile) == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
            )[0]
        ]
        rows = np.array([[x, y, x + w, y + h] for _, x, y, w, h in found], float).reshape(-1, 4)
        return Detections(rows, np.full(len(found), 0.9), np.array([label for label, *_ in found], int))


class TurnedColours(Colours):
    """Sees rectangles at any angle."""

    geometry = ORIENTED

    def detect(self, tile):
        found = [
            (label, smallest_rectangle(part[:, 0]))
            for label in (1, 2)
            for part in cv2.findContours(
                (self.mask(tile) == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
            )[0]
        ]
        return Detections(
            np.array([corners for _, corners in found]).reshape(-1, 8),
            np.full(len(found), 0.9),
            np.array([label for label, _ in found], int),
        )


def geotiff(path, rgb, crs='EPSG:32633', transform=(0.5, 0, 400000, 0, -0.5, 5000000), **options):
    rasterio = pytest.importorskip('rasterio')
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        height=rgb.shape[0],
        width=rgb.shape[1],
        count=rgb.shape[2],
        dtype=rgb.dtype,
        crs=crs,
        transform=rasterio.Affine(*transform),
        **options,
    ) as target:
        target.write(rgb.transpose(2, 0, 1))
    return path
