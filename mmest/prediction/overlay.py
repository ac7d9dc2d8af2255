"""A picture to look at, small enough to open."""

from collections.abc import Sequence

import cv2
import numpy as np

from mmest.tiles.grid import Box

_FONT = cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1  # its name, scale and thickness


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

    def _corner(self, x: float, y: float) -> tuple[int, int]:
        return round(x * self.scale), round(y * self.scale)

    def add(self, part: Box, pixels: np.ndarray) -> None:
        """Put the RGB pixels of a part of the picture into their place."""
        (left, top), (right, bottom) = self._corner(*part[:2]), self._corner(*part[2:])
        if right > left and bottom > top:
            self.pixels[top:bottom, left:right] = cv2.resize(
                pixels, (right - left, bottom - top), interpolation=cv2.INTER_AREA
            )

    def outline(self, corners: np.ndarray, colour: np.ndarray) -> None:
        """Draw a box, x1, y1, ..., x4, y4."""
        points = [self._corner(*point) for point in corners.reshape(4, 2)]
        cv2.polylines(
            self.pixels, [np.array(points, np.int32)], True, colour.tolist(), 1 if self.pixels.shape[1] < 1024 else 2
        )

    def legend(self, names: Sequence[str], colours: np.ndarray) -> None:
        """Put classes and their colours beneath the picture."""
        width, line, x, places = self.pixels.shape[1], 22, 8, []
        row = 0
        for name in names:
            wide = 34 + cv2.getTextSize(name, *_FONT)[0][0]
            if x > 8 and x + wide > width:
                x, row = 8, row + 1
            places.append((x, row * line))
            x += wide
        strip = np.full(((row + 1) * line + 6, width, 3), 255, np.uint8)
        for name, colour, (x, y) in zip(names, colours, places):
            cv2.rectangle(strip, (x, y + 7), (x + 14, y + 20), colour.tolist(), -1)
            cv2.putText(strip, name, (x + 20, y + 19), *_FONT[:2], (0, 0, 0), _FONT[2], cv2.LINE_AA)
        self.pixels = np.vstack([self.pixels, strip])

    def png(self) -> bytes:
        return cv2.imencode('.png', self.pixels[..., ::-1])[1].tobytes()
