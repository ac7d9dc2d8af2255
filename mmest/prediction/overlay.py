"""An image to look at, small enough to open."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from mmest.prediction.options import png_with
from mmest.tiles.grid import Box

_FONT = cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1  # its name, scale and thickness
_NARROW = 360  # of fewer pixels a legend cannot be read
_NO_DATA = (255, 255, 255)


class Overlay:
    """Collects the parts of a large image, reduced.

    Args:
        width: of the image.
        height: of the image.
        longest: pixels of the longer side at most.
    """

    def __init__(self, width: int, height: int, longest: int = 2048) -> None:
        self.scale = min(1.0, longest / max(width, height))
        self.pixels = np.zeros((self._reduce(height), self._reduce(width), 3), np.uint8)
        self._texts: list[tuple[str, np.ndarray, np.ndarray]] = []

    def _reduce(self, value: float) -> int:
        return max(1, round(value * self.scale))

    def _corner(self, x: float, y: float) -> tuple[int, int]:
        return round(x * self.scale), round(y * self.scale)

    def add(self, part: Box, pixels: np.ndarray, valid: np.ndarray | None = None) -> None:
        """Put the RGB pixels of a part of the image into their place; ground without data is white."""
        (left, top), (right, bottom) = self._corner(*part[:2]), self._corner(*part[2:])
        if valid is not None:
            pixels = np.where(valid[..., None], pixels, np.uint8(_NO_DATA))
        if right > left and bottom > top:
            self.pixels[top:bottom, left:right] = cv2.resize(
                pixels, (right - left, bottom - top), interpolation=cv2.INTER_AREA
            )

    def outline(self, rings: Sequence[np.ndarray], colour: np.ndarray, text: str) -> None:
        """Draw rings of N×2 points. A text is written beside them, unless one of an earlier outline is in its place."""
        thick = 1 if self.pixels.shape[1] < 1024 else 2
        points = [np.array([self._corner(*point) for point in ring], np.int32) for ring in rings]
        cv2.polylines(self.pixels, points, True, (0, 0, 0), thick + 1, cv2.LINE_AA)
        cv2.polylines(self.pixels, points, True, colour.tolist(), thick, cv2.LINE_AA)
        self._texts.append((text, np.concatenate(points), colour))

    def write_texts(self) -> list[Box]:
        """Write the texts of all outlines above these, and return where: none covers another."""
        font = (_FONT[0], 0.36 if self.pixels.shape[1] < 1024 else 0.45, 1)
        written: list[Box] = []
        for text, points, colour in self._texts:
            (width, height), _ = cv2.getTextSize(text, *font)
            width, height = width + 3, height + 4
            left = int(np.clip(points[:, 0].min(), 0, max(0, self.pixels.shape[1] - width)))
            for top in (int(points[:, 1].min()) - height, int(points[:, 1].max()) + 1):  # above it, else below
                box = (left, top, left + width, top + height)
                inside = top >= 0 and box[3] <= self.pixels.shape[0]
                if inside and not any(_touch(box, other) for other in written):
                    written.append(box)
                    cv2.rectangle(self.pixels, box[:2], (box[2] - 1, box[3] - 1), colour.tolist(), -1)
                    place = (left + 2, box[3] - 2)
                    cv2.putText(self.pixels, text, place, *font[:2], _readable_on(colour), font[2], cv2.LINE_AA)
                    break
        self._texts = []
        return written

    def legend(self, names: Sequence[str], colours: np.ndarray) -> None:
        """Write what is left to write, and put classes and their colours beneath the image."""
        self.write_texts()
        missing = max(0, _NARROW - self.pixels.shape[1])
        self.pixels = np.pad(self.pixels, ((0, 0), (0, missing), (0, 0)), constant_values=255)
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
            cv2.rectangle(strip, (x, y + 7), (x + 14, y + 20), (90, 90, 90), 1)
            cv2.putText(strip, name, (x + 20, y + 19), *_FONT[:2], (0, 0, 0), _FONT[2], cv2.LINE_AA)
        self.pixels = np.vstack([self.pixels, strip])

    def png(self, options: Mapping[str, Any]) -> bytes:
        """The image as a file that says with which options it was made."""
        return png_with(options, self.pixels)


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _readable_on(colour: np.ndarray) -> tuple[int, int, int]:
    return (0, 0, 0) if colour @ [0.3, 0.59, 0.11] > 110 else (255, 255, 255)
