"""Overlays: colours that mean something, texts that do not cover each other."""

import cv2
import numpy as np
import pytest

from mmest.pictures.colours import class_colours, object_colours
from mmest.prediction.overlay import Overlay


def hue(colour):
    return cv2.cvtColor(np.uint8([[colour]]), cv2.COLOR_RGB2HSV)[0, 0].astype(int)


@pytest.mark.parametrize(
    'names, low, high',
    [
        (['water', 'Water body', 'lake'], 100, 115),
        (['vegetation', 'forest', 'tree', 'low_vegetation', 'deciduous forest'], 40, 75),
        (['building', 'Buildings', 'building roof'], 0, 10),
        (['agriculture', 'Agricultural land', 'barren', 'bare soil'], 8, 25),
    ],
)
def test_known_ground_has_its_colour(names, low, high):
    colours = class_colours(names, [[1, 2, 3]] * len(names))
    for name, colour in zip(names, colours):
        assert low <= hue(colour)[0] <= high, name
    assert len(set(map(tuple, colours.tolist()))) == len(names), 'no two are alike'


def test_the_rest_is_as_stated_or_from_a_fixed_list():
    stated = [[9, 8, 7], [6, 5, 4]]
    assert class_colours(['solar panel', 'road'], stated)[0].tolist() == [9, 8, 7]
    assert hue(class_colours(['road'], stated)[0])[1] < 20
    many = object_colours(60)
    assert len(set(map(tuple, many.tolist()))) == 60 and np.array_equal(many[:5], object_colours(5))
    assert class_colours([]).shape == (0, 3)


def test_texts_do_not_cover_each_other_and_stay_inside():
    overlay = Overlay(200, 100)
    for y in (2, 4, 80):
        overlay.outline(
            [np.array([(150, y), (198, y), (198, y + 15), (150, y + 15)])], np.array([240, 228, 66]), '0.93'
        )
    boxes = overlay.write_texts()
    assert len(boxes) >= 2
    for number, box in enumerate(boxes):
        assert 0 <= box[0] < box[2] <= 200 and 0 <= box[1] < box[3] <= 100
        for other in boxes[:number]:
            assert box[2] <= other[0] or other[2] <= box[0] or box[3] <= other[1] or other[3] <= box[1]
    overlay.legend(['ship', 'plane'], object_colours(2))
    assert overlay.pixels.shape[1] == 360, 'a legend that can be read'
