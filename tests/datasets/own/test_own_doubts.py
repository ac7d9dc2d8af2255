"""What labels say in a way that may be read wrongly: told in a sentence, or read as the tools that wrote it do."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mmest.datasets.own.cutting import cut
from mmest.datasets.own.detect import read
from mmest.datasets.own.prepare import prepare

AB = (dict(id=1, name='a'), dict(id=2, name='b'))


def coco(root, categories=AB, width=64, **said):
    """An image with an object of the first class; ``said`` is what its annotation says otherwise."""
    Image.fromarray(np.full((48, 64), 90, np.uint8)).save(root / '1.png')
    one = dict(id=5, image_id=1, category_id=1, bbox=[2, 2, 9, 9], area=81, iscrowd=0) | said
    image = dict(id=1, file_name='1.png', width=width, height=48)
    (root / 'a.json').write_text(json.dumps(dict(images=[image], categories=categories, annotations=[one])))
    return root


def yolo(root, label='0 .5 .5 .2 .2', encoding='utf-8', **files):
    """An image with a label, and files by their names with _ for the dot."""
    Image.fromarray(np.full((48, 64), 90, np.uint8)).save(root / '1.png')
    (root / '1.txt').write_text(label, encoding)
    for name, text in files.items():
        (root / name.replace('_', '.')).write_text(text, encoding)
    return root


def test_two_classes_of_one_number(tmp_path):
    with pytest.raises(ValueError, match='a.json: two categories have the id 1: a and b. Give each an id of its own'):
        read(coco(tmp_path, [dict(id=1, name='a'), dict(id=1, name='b')]))


def test_a_category_that_is_there_twice_is_one(tmp_path):
    assert read(coco(tmp_path, [AB[0], AB[0]])).classes == ['a']


@pytest.mark.parametrize(
    'parent, number, expected',
    [('a', 1, ['b']), ('a', 0, ['a', 'b']), ('c', 1, ['a', 'b'])],
    ids=['groups the others', 'labels something', "is nobody's parent"],
)
def test_a_first_category_is_left_out_where_it_only_groups_the_others(tmp_path, parent, number, expected):
    categories = [dict(id=0, name='a', supercategory='none'), dict(id=1, name='b', supercategory=parent)]
    assert read(coco(tmp_path, categories, category_id=number)).classes == expected


def test_an_outline_is_not_turned_once_more(tmp_path):
    """CVAT writes the turn beside outlines too, which have it already."""
    square = [[2, 2, 11, 2, 11, 11, 2, 11]]
    data = read(coco(tmp_path, segmentation=square, attributes=dict(rotation=45)))
    (one,) = data.samples[0].objects
    assert one.box == (2, 2, 11, 11) and one.shape.area == 81


@pytest.mark.parametrize('said, crowd', [('0', False), ('1', True), (0, False), (1, True), (True, True), (None, False)])
def test_crowds_as_text_and_as_numbers(tmp_path, said, crowd):
    assert [one.ignore for one in read(coco(tmp_path, iscrowd=said)).samples[0].objects] == [crowd]


@pytest.mark.parametrize('said', ['no', 2, [0]])
def test_crowds_that_are_neither(tmp_path, said):
    with pytest.raises(ValueError, match='a.json: annotation 5 has iscrowd .* Expected 0 or 1'):
        read(coco(tmp_path, iscrowd=said))


@pytest.mark.parametrize('width', ['wide', [64], float('nan'), float('inf'), 65])
def test_sizes_that_are_others(tmp_path, width):
    with pytest.raises(ValueError, match='a.json says that 1.png has .*×48 pixels, but it has 64×48'):
        read(coco(tmp_path, width=width))


@pytest.mark.parametrize('width', ['64', 64.0, None, 0])
def test_sizes_that_are_those(tmp_path, width):
    assert read(coco(tmp_path, width=width)).samples[0].width == 64


@pytest.mark.parametrize('text', ['a\n\nb\n', '\na\nb', 'a\n  \nb'])
def test_labels_count_empty_lines_of_a_list_of_classes(tmp_path, text):
    with pytest.raises(ValueError, match='classes.txt has no name in line [12], which labels count all the same'):
        read(yolo(tmp_path, '2 .5 .5 .2 .2', classes_txt=text))


def test_empty_lines_behind_a_list_of_classes(tmp_path):
    assert read(yolo(tmp_path, classes_txt='a\nb\n\n\n')).classes == ['a', 'b']


@pytest.mark.parametrize('files', [dict(classes_txt='a\nb\na\n'), dict(data_yaml='train: .\nnames: [a, b, a]')])
def test_numbers_of_one_name_are_one_class(tmp_path, files):
    data = read(yolo(tmp_path, '2 .5 .5 .2 .2\n1 .2 .2 .1 .1\n0 .5 .5 .1 .1', **files))
    assert data.classes == ['a', 'b'] and [one.label for one in data.samples[0].objects] == [0, 1, 0]
    assert 'a is the name of several numbers, which are taken for one class' in data.notes.lines()


@pytest.mark.parametrize(
    'behind, text', [(' .9', ''), (' .3 .4 .6 .6', 'kpt_shape: [2, 2]'), (' .3 .4 2 .6 .6 1', 'kpt_shape: [2, 3]')]
)
def test_a_confidence_and_key_points_behind_a_box_of_yolo_are_no_outline(tmp_path, behind, text):
    data = read(yolo(tmp_path, f'0 .5 .5 .25 .5{behind}', data_yaml=f'train: .\nnames: [a]\n{text}'))
    (one,) = data.samples[0].objects
    assert one.box == (24, 12, 40, 36) and one.shape is None and data.labels == 'boxes'
    assert ('the labels have key points, which are left out' in data.notes.lines()) == bool(text)


@pytest.mark.parametrize('files', [dict(classes_txt='plane'), dict(data_yaml='train: .\nnames: [plane]')])
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le'])
def test_text_as_windows_writes_it(tmp_path, encoding, files):
    data = read(yolo(tmp_path, encoding=encoding, **files))
    assert data.classes == ['plane'] and len(data.samples[0].objects) == 1


def test_text_that_is_none_is_named(tmp_path):
    yolo(tmp_path, classes_txt='plane')
    (tmp_path / 'classes.txt').write_bytes('flèche'.encode('latin-1'))
    with pytest.raises(ValueError, match='classes.txt is no text in UTF-8 or UTF-16 .* Save it as UTF-8'):
        read(tmp_path)
    yolo(tmp_path, classes_txt='plane')
    (tmp_path / '2.png').write_bytes((tmp_path / '1.png').read_bytes())
    (tmp_path / '2.txt').write_bytes(b'0 .5 .5 .2 .2 \xe4')
    with pytest.raises(ValueError, match='2.txt is no text'):
        read(tmp_path)


@pytest.mark.parametrize('said', ['val: 3', 'path: 3', 'path: 3\nval: 2.5', 'path:'])
def test_numbers_in_place_of_folders(tmp_path, said):
    assert len(read(yolo(tmp_path, data_yaml=f'train: .\nnames: [a]\n{said}')).samples) == 1


BEYOND = [50, 34, 104, 34, 104, 44, 50, 44]  # the image ends at 64


def voc(root, outline=(), difficult=''):
    """As Roboflow writes it."""
    Image.fromarray(np.full((48, 64), 90, np.uint8)).save(root / '1.png')
    points = ''.join(
        f'<{"yx"[n % 2]}{(n + 1) // 2}>{value}</{"yx"[n % 2]}{(n + 1) // 2}>' for n, value in enumerate(outline, 1)
    )
    box = '<bndbox><xmin>50</xmin><ymin>34</ymin><xmax>104</xmax><ymax>44</ymax></bndbox>'
    text = f'<annotation><object><name>a</name>{difficult}{box}<polygon>{points}</polygon></object></annotation>'
    (root / '1.xml').write_text(text)
    return root


@pytest.mark.parametrize('form', ['coco', 'yolo', 'voc'])
def test_an_outline_that_leaves_its_image_is_cut_to_it(form, tmp_path):
    """On its tile it is no piece of an object that is to be ignored, small as it is beside the whole outline."""
    shares = ' '.join(f'{value / (48 if n % 2 else 64):.6f}' for n, value in enumerate(BEYOND))
    root = tmp_path / 'own'
    root.mkdir()
    if form == 'coco':
        coco(root, bbox=[50, 34, 54, 10], segmentation=[BEYOND], area=540)
    elif form == 'yolo':
        yolo(root, f'0 {shares}', classes_txt='a')
    else:
        voc(root, BEYOND)
    data = read(root)
    (one,) = data.samples[0].objects
    seen = pytest.approx((50, 34, 64, 44), abs=0.001)
    assert (one.box, one.shape.bounds, one.area) == (seen, seen, pytest.approx(140, abs=0.01))
    copy = replace(data.samples[0], objects=[], split='val')
    data.samples[0].split = 'train'
    data.samples.append(copy)
    cut(data, 32)
    pieces = [one for sample in data.samples for one in sample.objects]
    assert pieces and not any(one.cut for one in pieces)


@pytest.mark.parametrize(
    'said, drawn, apart',
    [
        ([0, 0, 5, 5], [10, 10, 40, 10, 40, 40, 10, 40], True),
        ([10, 10, 30, 30], [10, 10, 40, 10, 40, 40, 10, 40], False),
        ([10, 10, 30, 30], [10, 10, 24, 10, 24, 40, 10, 40], True),
        ([10, 10, 30, 30], [10, 10, 26, 10, 26, 40, 10, 40], False),
        ([10, 10, 1, 30], [10, 10, 10.4, 10, 10.4, 40, 10, 40], False),
        (None, [10, 10, 40, 10, 40, 40, 10, 40], False),
        ([50, 34, 54, 10], BEYOND, False),
    ],
)
def test_a_box_that_is_not_around_its_outline(said, drawn, apart, tmp_path):
    """Of few the box counts, of many nobody knows which of both is wrong."""
    coco(tmp_path, bbox=said, segmentation=[drawn])
    file = tmp_path / 'a.json'
    content = json.loads(file.read_text())
    if apart:
        with pytest.raises(
            ValueError, match='a.json: 1 of 1 objects cannot be used: 1 have an outline elsewhere than their'
        ):
            read(tmp_path)
    good = dict(content['annotations'][0], bbox=[2, 2, 9, 9], segmentation=[[2, 2, 11, 2, 11, 11, 2, 11]])
    content['annotations'] += [dict(good, id=6), dict(good, id=7, bbox=[3, 2, 9, 9])]
    file.write_text(json.dumps(content))
    data = read(tmp_path)
    assert [one.shape is None for one in data.samples[0].objects] == [apart, False, False]
    line = 'objects that have an outline elsewhere than their box, of which the box is used: 1 (annotation 5 of 1.png)'
    assert (line in data.notes.lines()) == apart


def test_an_outline_of_which_nothing_is_on_the_image(tmp_path):
    coco(tmp_path, bbox=[50, 40, 10, 6], segmentation=[[60, 60, 80, 40, 80, 60]])
    data = read(tmp_path)
    assert data.samples[0].objects[0].box == (50, 40, 60, 46) and data.labels == 'boxes'
    said = (
        'objects that have an outline without area on their image, of which the box is used: 1 (annotation 5 of 1.png)'
    )
    assert said in data.notes.lines()


@pytest.mark.parametrize(
    'said, ignored',
    [
        ('1', True),
        (' 1 ', True),
        ('True', True),
        ('yes', True),
        ('0', False),
        ('', False),
        ('\n0 ', False),
        ('false', False),
    ],
)
def test_difficult_objects_however_they_are_written(said, ignored, tmp_path):
    data = read(voc(tmp_path, difficult=f'<difficult>{said}</difficult>'))
    assert [one.ignore for one in data.samples[0].objects] == [ignored]


def test_difficult_that_is_neither(tmp_path):
    assert not read(voc(tmp_path)).samples[0].objects[0].ignore
    with pytest.raises(ValueError, match='1.xml has an object "a" with difficult "2". Expected 0 or 1'):
        read(voc(tmp_path, difficult='<difficult>2</difficult>'))


@pytest.mark.parametrize('count', [254, 255])
def test_one_class_more_than_masks_can_hold(count, tmp_path):
    """The last had number 255, which is ignored."""
    root = tmp_path / 'own'
    root.mkdir()
    names = '\n'.join(f'class {number}' for number in range(count))
    yolo(root, f'{count - 1} .1 .1 .9 .1 .9 .9', classes_txt=names)
    Image.fromarray(np.full((48, 64), 91, np.uint8)).save(root / '2.png')
    (root / '2.txt').write_text(f'{count - 1} .1 .1 .9 .1 .9 .9')
    if count == 255:
        with pytest.raises(
            ValueError, match='own has 256 classes, background among them, but masks can hold 255, as 255 is'
        ):
            prepare(root, tmp_path / 'out', task='segmentation')
    else:
        assert len(prepare(root, tmp_path / 'out', task='segmentation').classes) == 255
    assert len(prepare(root, tmp_path / 'boxes', task='detection').classes) == count


@pytest.mark.parametrize(
    'label, beyond', [('0 .9 .5 .3 .2', True), ('0 1.4 .5 .9 .2', True), ('0 .9 .5 .21 .2', False)]
)
def test_boxes_of_yolo_beyond_their_image_are_cut_and_counted(label, beyond, tmp_path):
    lines = read(yolo(tmp_path, label, classes_txt='a')).notes.lines()
    assert any(line.startswith('boxes that reach beyond their image, cut to it: 1 (') for line in lines) == beyond


def test_boxes_of_pascal_voc_beyond_their_image_are_cut_and_counted(tmp_path):
    assert 'boxes that reach beyond their image, cut to it: 1 (1.png)' in read(voc(tmp_path)).notes.lines()
    file = tmp_path / '1.xml'
    file.write_text(file.read_text().replace('104', '65'))
    assert not any('cut to it' in line for line in read(tmp_path).notes.lines())
