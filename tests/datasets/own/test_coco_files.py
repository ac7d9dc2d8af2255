"""What is wrong or left out in a COCO file, and what of it is no matter."""

import json
import re

import exports
import numpy as np
import pytest

from mmest.datasets.own.detect import read
from mmest.datasets.own.prepare import prepare


@pytest.fixture
def change(tmp_path):
    """Change the training file of an export and prepare it."""
    exports.roboflow_coco(tmp_path / 'own')
    file = tmp_path / 'own' / 'train' / '_annotations.coco.json'

    def changed(edit):
        content = json.loads(file.read_text())
        edit(content)
        file.write_text(json.dumps(content))
        return prepare(tmp_path / 'own', tmp_path / 'out')

    return changed


def test_size_of_another_image(change):
    with pytest.raises(ValueError, match='has 960×640 pixels, but it has 96×64'):
        change(lambda content: content['images'][0].update(width=960, height=640))


def test_missing_sizes_and_areas_are_no_problem(change):
    def edit(content):
        for image in content['images']:
            del image['width'], image['height']
        for one in content['annotations']:
            del one['area'], one['iscrowd'], one['id']

    assert change(edit).counts['train'] == 3


def test_crowds_are_said(change):
    prepared = change(lambda content: content['annotations'][0].update(iscrowd=1))
    assert any('crowd regions (iscrowd), neither object nor background: 1' in note for note in prepared.notes)


def test_numbers_as_text(change):
    assert change(lambda content: content['annotations'][0].update(bbox=['1', '2', '3', '4'])).counts['train'] == 3


def test_three_numbers(change):
    with pytest.raises(
        ValueError, match=r'annotation 0 has the bbox \[1.0, 2.0, 3.0\], but a bbox is \[x, y, width, height'
    ):
        change(lambda content: content['annotations'][0].update(bbox=[1, 2, 3]))


def test_unknown_category(change):
    with pytest.raises(ValueError, match='has the category 9'):
        change(lambda content: content['annotations'][0].update(category_id=9))


def test_boxes_outside_are_counted(change):
    prepared = change(lambda content: content['annotations'][0].update(bbox=[200, 2, 3, 3]))
    assert any(note.startswith('boxes without area, or outside of their image, left out: 1') for note in prepared.notes)


def test_most_images_missing(change):
    def edit(content):
        for image in content['images']:
            image['file_name'] = 'lost_' + image['file_name']
        content['images'] += [dict(id=100 + i, file_name=f'x{i}.png') for i in range(9)]

    with pytest.raises(FileNotFoundError, match='12 of 18 images that the annotations name are not below'):
        change(edit)


def test_parent_with_the_name_of_its_class(change):
    def edit(content):
        content['categories'][0]['name'] = 'plane'
        content['categories'][1]['supercategory'] = 'plane'

    assert change(edit).classes == ['plane', 'ship']


def test_boxes_beyond_are_cut_and_counted(change, tmp_path):
    prepared = change(lambda content: content['annotations'][0].update(bbox=[90, 2, 30, 3], area=90))
    assert any(note.startswith('boxes that reach beyond their image, cut to it: 1') for note in prepared.notes)


@pytest.mark.parametrize('by', ['area', 'leaving'])
def test_corners_are_refused(change, by):
    def edit(content):
        for one in content['annotations']:
            x, y, w, h = one['bbox']
            one.update(bbox=[x, y, x + w, y + h], area=w * h if by == 'area' else None)

    with pytest.raises(ValueError, match='_annotations.coco.json: the boxes seem to be x1, y1, x2, y2'):
        change(edit)


def test_shares_are_refused(change):
    def edit(content):
        for one in content['annotations']:
            one['bbox'] = [0.1, 0.2, 0.3, 0.4]

    with pytest.raises(ValueError, match='every box lies between 0 and 1'):
        change(edit)


@pytest.mark.parametrize(
    'outline, reason',
    [
        ([[float('nan'), 1, 20, 3, 4, 30]], 'have NaN or infinity in their outline'),
        ([[1, 2, 3, None, 5, 6]], 'have an outline (segmentation) in a form that COCO does not have'),
        ([1, 2, 30, 2, 30, 20], 'have an outline (segmentation) in a form that COCO does not have'),
        ([None], 'have an outline (segmentation) in a form that COCO does not have'),
        ([[1, 2, 30]], 'have an outline of fewer than three points, or of half a point'),
        ([[]], 'have an outline of fewer than three points, or of half a point'),
        ([[500, 500, 530, 500, 530, 530]], 'have an outline outside of their image'),
        (dict(size=[32, 32], counts=[100, 50, 874]), 'have an outline (RLE) of another size than their image'),
        (dict(size=[64, 96], counts=[100, 50, 9]), 'have an outline (RLE) whose runs are damaged or cover nothing'),
        (dict(size=[64, 96], counts='~'), 'have an outline (RLE) whose runs are damaged or cover nothing'),
    ],
)
def test_outlines_that_cannot_be_read(change, outline, reason, tmp_path):
    """The boxes are used; too many of them are refused, but for points and lines in place of an outline."""

    def edit(content, most=False):
        for number, one in enumerate(content['annotations']):
            x, y, w, h = one['bbox']
            good = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            one['segmentation'] = outline if number == 0 or most and number < 4 else good

    prepared = change(edit)
    assert f'objects that {reason}, of which the box is used: 1 (annotation 0 of' in '\n'.join(prepared.notes)
    first, *rest = json.loads((tmp_path / 'out' / 'train.json').read_text())['annotations']
    assert 'segmentation' not in first and len(rest) == 5 and all('segmentation' in one for one in rest)
    if 'fewer than three points' in reason:
        assert change(lambda content: edit(content, most=True)).counts['train'] == 3
    else:
        with pytest.raises(ValueError, match='4 of 6 objects cannot be used: 4 ' + re.escape(reason)):
            change(lambda content: edit(content, most=True))


def test_of_an_outline_in_parts_what_can_be_read_is_used(change, tmp_path):
    good = [1, 2, 30, 2, 30, 20]
    parts = [good, [1, 2, None], [4, 5]]
    prepared = change(lambda content: content['annotations'][0].update(segmentation=parts, bbox=[1, 2, 29, 18]))
    assert 'outlines of which some polygons cannot be read and are left out: 1' in '\n'.join(prepared.notes)
    first = json.loads((tmp_path / 'out' / 'train.json').read_text())['annotations'][0]
    assert first['area'] == 29 * 18 / 2


@pytest.mark.parametrize('turn, box', [(90, (40, 5, 50, 45)), (-30, None), (200, None), (360, (25, 20, 65, 30))])
def test_rectangles_that_cvat_turned(change, turn, box, tmp_path):
    """Clockwise about their middle, as they are seen; the straight one is written."""
    attributes = dict(occluded=False, rotation=turn)
    more = dict(bbox=[25, 20, 40, 10], segmentation=[], attributes=attributes)
    prepared = change(lambda content: content['annotations'][0].update(more))
    first = json.loads((tmp_path / 'out' / 'train.json').read_text())['annotations'][0]
    a = np.radians(turn)
    corners = np.array([(-20, -5), (20, -5), (20, 5), (-20, 5)]) @ [[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]]
    corners += (45, 25)
    x0, y0, x1, y1 = box or (*corners.min(0), *corners.max(0))
    np.testing.assert_allclose(first['bbox'], (x0, y0, x1 - x0, y1 - y0), atol=0.01)
    drawn = {tuple(point) for point in np.reshape(first['segmentation'], (-1, 2)).round(1).tolist()}
    assert drawn == {tuple(point) for point in corners.round(1).tolist()}
    assert any(note.startswith('turned rectangles (rotation), read as their outlines: 1') for note in prepared.notes)


def test_a_turned_rectangle_may_have_lain_beyond_its_image(change):
    more = dict(bbox=[30, -20, 10, 100], segmentation=[], attributes=dict(rotation=90))
    assert not any('cut to it' in note for note in change(lambda c: c['annotations'][0].update(more)).notes)


@pytest.mark.parametrize(
    'edit, said',
    [
        (dict(annotations=None), '"annotations" is no list'),
        (dict(images=None), 'is not in COCO format'),
        (dict(annotations=[None]), 'an entry of "annotations" is not an object of JSON'),
        (dict(images=[dict(id=[1], file_name='a.png')]), 'entry 0 of "images" .* has no id'),
        (dict(categories=[dict(id=1)]), 'entry 0 of "categories" .* has no name'),
    ],
)
def test_lists_of_another_form(change, edit, said):
    with pytest.raises(ValueError, match=f'_annotations.coco.json.*{said}'):
        change(lambda content: content.update(edit))


@pytest.mark.parametrize('box', [[float('nan')] * 4, [1, 2, float('inf'), 4], None, []])
def test_boxes_of_no_numbers_are_left_out(change, box):
    prepared = change(lambda content: content['annotations'][0].update(bbox=box))
    assert any(note.startswith('boxes without area, or outside of their image, left out: 1') for note in prepared.notes)


def test_a_file_in_utf_16(tmp_path):
    exports.label_studio(tmp_path)
    file = tmp_path / 'result.json'
    file.write_text(file.read_text('utf-8-sig'), 'utf-16')
    assert len(read(tmp_path).samples) == 10


def test_run_lengths_become_outlines(change, tmp_path):
    from pycocotools import mask as tools

    drawn = np.zeros(exports.SIZE[::-1], np.uint8)
    drawn[10:20, 30:50] = drawn[15:40, 35:40] = 1
    rle = tools.encode(np.asfortranarray(drawn))
    rle['counts'] = rle['counts'].decode()
    change(lambda content: content['annotations'][0].update(segmentation=rle, bbox=[30, 10, 20, 30]))
    content = json.loads((tmp_path / 'out' / 'train.json').read_text())
    one = next(one for one in content['annotations'] if 'segmentation' in one)
    assert one['area'] == drawn.sum()
