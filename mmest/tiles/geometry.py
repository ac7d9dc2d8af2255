"""What merging and scoring have to know of boxes: straight ones, or oriented ones."""

from typing import Protocol

import cv2
import numpy as np
import shapely

_ERROR = 0.1  # of the side of a box


class Geometry(Protocol):
    """A kind of boxes, as rows of ``columns`` coordinates."""

    columns: int

    def bounds(self, boxes: np.ndarray) -> np.ndarray:
        """N×4: the straight rectangle around each, x0, y0, x1, y1."""

    def corners(self, boxes: np.ndarray) -> np.ndarray:
        """N×8: corners x1, y1, ..., x4, y4, in turn."""

    def overlap_inside(
        self, first: np.ndarray, second: np.ndarray, ground: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Twice N×M, of the parts inside a straight rectangle: IoU, and the share of the smaller part that lies in the
        larger; 0 where a part is empty.
        """

    def join(self, boxes: np.ndarray, leader: np.ndarray, cut: np.ndarray) -> np.ndarray:
        """The box of an object that several patches show.

        Args:
            boxes: what they show.
            leader: the best of them.
            cut: 4, whether the border of its patch cuts the leader off at x0, y0, x1, y1.
        """


class Straight:
    """x0, y0, x1, y1."""

    columns = 4

    def bounds(self, boxes: np.ndarray) -> np.ndarray:
        return boxes

    def corners(self, boxes: np.ndarray) -> np.ndarray:
        return boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]]

    def overlap_inside(
        self, first: np.ndarray, second: np.ndarray, ground: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        first, second = self._clip(first, ground), self._clip(second, ground)
        low = np.maximum(first[:, None, :2], second[None, :, :2])
        common = np.maximum(np.minimum(first[:, None, 2:], second[None, :, 2:]) - low, 0).prod(-1)
        areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1) for boxes in (first, second)]
        return _overlap(common, areas[0][:, None], areas[1])

    @staticmethod
    def _clip(boxes: np.ndarray, ground: np.ndarray) -> np.ndarray:
        low = np.maximum(boxes[:, :2], ground[:2])
        return np.hstack([low, np.maximum(low, np.minimum(boxes[:, 2:], ground[2:]))])

    def join(self, boxes: np.ndarray, leader: np.ndarray, cut: np.ndarray) -> np.ndarray:
        """The leader, and at the sides where it is cut off the outermost of all. A slanted object may reach beyond its
        other sides too, outside of its patch: by more than detectors err.
        """
        outermost = np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])
        beyond = np.abs(outermost - leader) > _ERROR * np.tile(leader[2:] - leader[:2], 2)
        return np.where(cut | (cut.any() & beyond), outermost, leader)


class Oriented:
    """Four corners, x1, y1, ..., x4, y4, in turn."""

    columns = 8

    def bounds(self, boxes: np.ndarray) -> np.ndarray:
        points = boxes.reshape(-1, 4, 2)
        return np.hstack([points.min(1), points.max(1)])

    def corners(self, boxes: np.ndarray) -> np.ndarray:
        return boxes

    def overlap_inside(
        self, first: np.ndarray, second: np.ndarray, ground: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        area = shapely.box(*ground)
        return polygon_overlap(*(shapely.intersection(polygons(boxes), area) for boxes in (first, second)))

    def join(self, boxes: np.ndarray, leader: np.ndarray, cut: np.ndarray) -> np.ndarray:
        """The leader; where it is cut off, the smallest rectangle around all. The corners of slanted pieces make it
        larger than the object: up to some tens of percent.
        """
        return smallest_rectangle(boxes.reshape(-1, 2)) if cut.any() and len(boxes) > 1 else leader


STRAIGHT, ORIENTED = Straight(), Oriented()


def polygons(boxes: np.ndarray) -> np.ndarray:
    """N×8 as N polygons. Convex, as some annotations name the corners crosswise."""
    return shapely.convex_hull(shapely.multipoints(boxes.reshape(-1, 4, 2)))


def _overlap(common: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """IoU, and the share of the smaller, of areas."""
    return common / np.maximum(first + second - common, 1e-9), common / np.maximum(np.minimum(first, second), 1e-9)


def polygon_overlap(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Twice N×M: IoU, and the share of the smaller polygon that lies in the larger.

    Exact, unlike mmcv's box_iou_quadri, which may find next to nothing in common for boxes a hundredth of a
    pixel apart.
    """
    iou, share = np.zeros((2, len(first), len(second)))
    rows, columns = shapely.STRtree(second).query(first, predicate='intersects')
    common = shapely.area(shapely.intersection(first[rows], second[columns]))
    iou[rows, columns], share[rows, columns] = _overlap(
        common, shapely.area(first)[rows], shapely.area(second)[columns]
    )
    return iou, share


def smallest_rectangle(points: np.ndarray) -> np.ndarray:
    """8: the corners of the smallest rectangle, at any angle, around N×2 points."""
    middle = points.mean(0)  # OpenCV computes in float32
    return (cv2.boxPoints(cv2.minAreaRect((points - middle).astype(np.float32))) + middle).reshape(8)


def shorter_side(points: np.ndarray) -> float:
    """Of that rectangle; 0 without points."""
    if not len(points):
        return 0.0
    return min(cv2.minAreaRect((points - points.mean(0)).astype(np.float32))[1])


def rotated_corners(boxes: np.ndarray) -> np.ndarray:
    """N×5 with middle x, y, width, height and angle in radians, clockwise as y points down, as N×8 corners."""
    x, y, width, height, angle = boxes.T
    across, along = (
        np.stack([side / 2 * f(angle + turn) for f in (np.cos, np.sin)], -1)
        for side, turn in ((width, 0), (height, np.pi / 2))
    )
    middle = np.stack([x, y], -1)
    return np.hstack(
        [middle - across - along, middle + across - along, middle + across + along, middle - across + along]
    )
