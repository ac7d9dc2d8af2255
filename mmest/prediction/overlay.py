"""A picture to look at, small enough to open."""
from typing import Tuple

import cv2
import numpy as np

from mmest.datasets.tiles import Box


class Overlay:
    """Collects the parts of a large picture, reduced.

    Args:
        width: of the picture.
        height: of the picture.
        longest: pixels of the longer side at most.
    """

    def __init__(self, width: int, height: int, longest: int = 2048) -> None:
        self.scale = min(1.0, longest / max(width, height))
        self.pixels = np.zeros((self._reduce(height), self._reduce(width), 3), np.uint8)

    def _reduce(self, value: float) -> int:
        return max(1, round(value * self.scale))

    def _corner(self, x: float, y: float) -> Tuple[int, int]:
        return round(x * self.scale), round(y * self.scale)

    def add(self, part: Box, pixels: np.ndarray) -> None:
        """Put the RGB pixels of a part of the picture into their place."""
        (left, top), (right, bottom) = self._corner(*part[:2]), self._corner(*part[2:])
        if right > left and bottom > top:
            self.pixels[top:bottom, left:right] = cv2.resize(pixels, (right - left, bottom - top), interpolation=cv2.INTER_AREA)

    def outline(self, corners: np.ndarray, colour: np.ndarray, label: str) -> None:
        """Draw a box, x1, y1, ..., x4, y4, and its class at the first corner."""
        points = [self._corner(*point) for point in corners.reshape(4, 2)]
        corner = points[0]
        cv2.polylines(self.pixels, [np.array(points, np.int32)], True, colour.tolist(), 2)
        cv2.putText(self.pixels, label, (corner[0], max(10, corner[1] - 4)), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour.tolist(), 1,
                    cv2.LINE_AA)

    def png(self) -> bytes:
        return cv2.imencode('.png', self.pixels[..., ::-1])[1].tobytes()
