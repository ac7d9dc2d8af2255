"""Instance masks in the files of a prediction, joined across tiles."""

import json
from dataclasses import replace

import cv2
import numpy as np
import official_trees as trees
import shapely
from pycocotools import mask as coco_masks
from scenes import COLOURS, SIZE, Colours

from mmest.pictures import ImageFile
from mmest.prediction.boxes import predict_boxes
from mmest.prediction.model import Detections
from mmest.prediction.shapes import shape_of_mask


class Shapes(Colours):
    """Sees the form of each connected area, as a perfect Mask R-CNN would."""

    def detect(self, tile):
        numbers, found = self.mask(tile), []
        for label in (1, 2):
            count, parts = cv2.connectedComponents((numbers == label).astype(np.uint8))
            found += [(label, parts == part) for part in range(1, count)]
        shapes = np.array([shape_of_mask(mask) for _, mask in found], dtype=object)
        boxes = np.array([shape.bounds for shape in shapes]).reshape(-1, 4)
        return Detections(boxes, np.full(len(found), 0.9), np.array([label for label, _ in found], int), shapes)


def test_instance_masks_are_written_whole(tmp_path):
    numbers = np.zeros(SIZE[::-1], np.uint8)
    cv2.circle(numbers, (350, 150), 130, 1, -1)
    cv2.circle(numbers, (350, 150), 40, 0, -1)  # a ring, larger than a tile
    cv2.fillPoly(numbers, [np.array([[20, 20], [150, 40], [60, 150]])], 2)
    trees.write(tmp_path / 'x.png', COLOURS[numbers])
    with ImageFile(tmp_path / 'x.png') as image:
        geojson, coco, _ = predict_boxes(Shapes(), image, tmp_path, 200, 40, 0.3, lambda: None)
    features = json.loads(geojson.read_text())['features']
    assert [one['properties']['class'] for one in features] == ['red', 'blue']
    for number, feature in enumerate(features, start=1):
        shape = shapely.geometry.shape(feature['geometry'])
        assert shape.area == (numbers == number).sum() and shape.exterior.is_ccw
        assert shape.is_valid and len(shape.interiors) == (number == 1)
    filled = numbers.copy()
    cv2.circle(filled, (350, 150), 60, 1, -1)  # COCO's polygons have no holes
    for number, one in enumerate(json.loads(coco.read_text())['annotations'], start=1):
        outline = coco_masks.decode(coco_masks.merge(coco_masks.frPyObjects(one['segmentation'], *SIZE[::-1])))
        assert np.array_equal(outline, filled == number) and one['area'] == (filled == number).sum()
        assert all(ring[:2] != ring[-2:] for ring in one['segmentation']), 'COCO closes them by itself'


def test_each_object_keeps_its_own_mask_where_others_score_too_little(tmp_path):
    class Doubtful(Shapes):
        def detect(self, tile):
            found = super().detect(tile)
            return replace(found, scores=np.where(found.labels == 1, 0.2, 0.9))

    numbers = np.zeros((100, 150), np.uint8)
    cv2.circle(numbers, (40, 40), 20, 1, -1)
    cv2.fillPoly(numbers, [np.array([[80, 20], [140, 40], [90, 80]])], 2)
    trees.write(tmp_path / 'x.png', COLOURS[numbers])
    with ImageFile(tmp_path / 'x.png') as image:
        geojson, *_ = predict_boxes(Doubtful(), image, tmp_path, 200, 40, 0.3, lambda: None)
    [feature] = json.loads(geojson.read_text())['features']
    shape = shapely.geometry.shape(feature['geometry'])
    assert feature['properties'] == {'class': 'blue', 'score': 0.9} and shape.area == (numbers == 2).sum()
    assert shape.centroid.x > 80
