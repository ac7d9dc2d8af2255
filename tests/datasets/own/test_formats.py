"""What labelling tools export is read box for box and pixel for pixel, and nothing of it is changed."""

import hashlib
import json
import re
import unicodedata

import exports
import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from mmseg.datasets import BaseSegDataset
from PIL import Image

from mmest.datasets.own.detect import read
from mmest.datasets.own.prepare import prepare
from mmest.datasets.own.prepared import load

ORIENTED = (
    '<annotation><object><name>ship</name><robndbox><cx>9</cx><cy>9</cy><w>8</w><h>4</h><angle>1</angle></robndbox>'
    '</object></annotation>'
)
POLYGON = (
    '<annotation><object><name>ship</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>'
    '<polygon><x1>{0}</x1><y1>1</y1><x2>9</x2><y2>1</y2><x3>9</x3><y3>9</y3></polygon></object></annotation>'
)
NO_LABELS = 'train: bare\nval: valid/images\nnames: [plane, ship]'
SPLITS = dict(valid='val', validation='val')


def content_of(folder) -> dict:
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture(params=[export for group in exports.BOXES.values() for export in group], ids=lambda f: f.__name__)
def boxes_export(request, tmp_path):
    root = tmp_path / 'own'
    root.mkdir()
    truth = request.param(root)
    name = next(name for name, group in exports.BOXES.items() if request.param in group)
    return root, truth, name


def loaded(prepared, split: str) -> dict:
    """Boxes by file name, as mmdet reads them."""
    data = CocoDataset(
        ann_file=str(prepared.labels(split)),
        data_prefix=dict(img=str(prepared.images)),
        metainfo=dict(classes=prepared.classes),
        pipeline=[],
    )
    found = {}
    for index in range(len(data)):
        info = data.get_data_info(index)
        with Image.open(info['img_path']) as image:
            assert image.size == (info['width'], info['height'])
        rows = [(one['bbox_label'], *one['bbox']) for one in info['instances']]
        found[info['img_path'].rsplit('/', 1)[-1]] = np.array(rows).reshape(-1, 5)
    return found


def test_boxes_are_those_that_were_drawn(boxes_export, tmp_path):
    root, truth, name = boxes_export
    before = content_of(root)
    prepared = prepare(root, tmp_path / 'out')
    assert (prepared.format, prepared.task, prepared.classes) == (name, 'detection', list(exports.CLASSES))
    stated = {SPLITS.get(split, split): boxes for split, boxes in truth.items()}
    if 'all' in stated:
        found = {split: loaded(prepared, split) for split in ('train', 'val')}
        assert len(found['val']) == max(1, round(len(stated['all']) / 5))
        assert not found['train'].keys() & found['val'].keys()
        stated, found = dict(all=stated['all']), dict(all=found['train'] | found['val'])
        assert any('seed 0' in note for note in prepared.notes)
    else:
        found = {split: loaded(prepared, split) for split in stated}
        assert not any('seed' in note for note in prepared.notes)
    for split, images in stated.items():
        assert found[split].keys() == images.keys()
        for image, boxes in images.items():
            np.testing.assert_allclose(found[split][image], np.array(boxes).reshape(-1, 5), atol=1e-4)
    assert content_of(root) == before


@pytest.mark.parametrize('export', exports.MASKS, ids=lambda f: f.__name__)
def test_masks_are_those_that_were_drawn(export, tmp_path):
    root = tmp_path / 'own'
    root.mkdir()
    truth = export(root)
    before = content_of(root)
    prepared = prepare(root, tmp_path / 'out')
    assert prepared.task == 'segmentation'
    expected = dict(
        index_masks=['ground', 'plane', 'ship'],
        palette_masks=['class 0', 'class 1', 'class 2'],
        binary_masks=['background', 'foreground'],
    ).get(export.__name__, ['ground', 'plane', 'ship'])
    assert prepared.classes == expected
    seen = 0
    for split in ('train', 'val'):
        data = BaseSegDataset(
            ann_file=str(prepared.labels(split)),
            data_prefix=dict(img_path=str(prepared.images), seg_map_path=str(prepared.folder / 'masks')),
            img_suffix='',
            seg_map_suffix='.png',
            metainfo=dict(classes=prepared.classes),
            pipeline=[],
        )
        for index in range(len(data)):
            info = data.get_data_info(index)
            name = info['img_path'].rsplit('/', 1)[-1]
            drawn = next(images[name] for images in truth.values() if name in images)
            np.testing.assert_array_equal(np.asarray(Image.open(info['seg_map_path'])), drawn)
            assert Image.open(info['img_path']).size == exports.SIZE
            seen += 1
    assert seen == sum(map(len, truth.values()))
    assert content_of(root) == before
    assert any('0 and 255' in note for note in prepared.notes) == (export is exports.binary_masks)


def test_outlines_become_masks_for_segmentation(tmp_path):
    root = tmp_path / 'own'
    root.mkdir()
    truth = exports.yolo_outlines(root)
    prepared = prepare(root, tmp_path / 'out', task='segmentation')
    assert prepared.classes == ['background', 'plane', 'ship']
    for name, boxes in truth['train'].items():
        mask = np.asarray(Image.open(prepared.folder / 'masks' / 'images' / 'train' / f'{name}.png'))
        np.testing.assert_array_equal(mask, exports.mask_of(boxes))


def test_boxes_among_outlines_are_ignored_ground(tmp_path):
    root = tmp_path / 'own'
    exports.yolo_outlines(root)
    (root / 'labels' / 'train' / 'im1.txt').write_text('0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.2 0.1 0.2 0.2\n')
    prepared = prepare(root, tmp_path / 'out', task='segmentation')
    mask = np.asarray(Image.open(prepared.folder / 'masks' / 'images' / 'train' / 'im1.png.png'))
    assert (mask == 255).sum() == 24 * 16 and (mask == 2).any() and not (mask == 1).any()
    assert any('boxes without an outline, whose ground is ignored: 1' in note for note in prepared.notes)


def test_a_hole_stays_one(tmp_path):
    from pycocotools import mask as tools

    exports.roboflow_coco(tmp_path / 'own')
    file = tmp_path / 'own' / 'train' / '_annotations.coco.json'
    content = json.loads(file.read_text())
    yard = np.zeros(exports.SIZE[::-1], np.uint8)
    yard[10:40, 30:60] = 1
    yard[20:30, 40:50] = 0
    runs = tools.encode(np.asfortranarray(yard))
    content['annotations'][0].update(segmentation=dict(runs, counts=runs['counts'].decode()), bbox=[30, 10, 30, 30])
    file.write_text(json.dumps(content))
    prepare(tmp_path / 'own', tmp_path / 'out')
    written = json.loads((tmp_path / 'out' / 'train.json').read_text())['annotations']
    one = next(one for one in written if 'segmentation' in one)
    np.testing.assert_array_equal(tools.decode(one['segmentation']), yard)
    assert one['area'] == yard.sum()


def test_a_set_that_stands_alone_can_be_moved(tmp_path):
    root = tmp_path / 'own'
    root.mkdir()
    truth = exports.roboflow_coco(root)
    made = prepare(root, tmp_path / 'out', copy=True)
    made.folder.rename(tmp_path / 'moved')
    for path in sorted(root.rglob('*'), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    moved = load(tmp_path / 'moved')
    assert loaded(moved, 'val').keys() == truth['valid'].keys()
    assert prepare(tmp_path / 'moved', tmp_path / 'unused') == moved


@pytest.mark.parametrize(
    'export, change, message',
    [
        (exports.voc_flat, None, 'masks'),
        (
            exports.roboflow_coco,
            ('train/_annotations.coco.json', '{'),
            'train/_annotations.coco.json is not valid JSON',
        ),
        (exports.yolo_roboflow, ('data.yaml', NO_LABELS), 'none of the images that train has an object'),
        (exports.yolo_roboflow, ('train/labels/im1.txt', '2 0.5 0.5 0.1 0.1'), 'line 1 names the class 2'),
        (exports.yolo_roboflow, ('train/labels/im1.txt', '0 50 50 10 10'), 'shares of the image'),
        (exports.yolo_roboflow, ('train/labels/im1.txt', '0 0.1 0.1 0.2'), '3 numbers behind the class'),
        (exports.yolo_roboflow, ('train/labels/im1.txt', 'inf 0.5 0.5 0.1 0.1'), 'line 1 is "inf 0.5 0.5 0.1 0.1"'),
        (exports.yolo_roboflow, ('data.yaml', 'train: nowhere\nnames: [plane]'), '"nowhere" as train'),
        (exports.voc_flat, ('train/1.xml', '<annotation><object/></annotation>'), 'an object without a name'),
        (exports.voc_flat, ('train/1.xml', '<annotation'), 'not valid XML'),
        (exports.voc_flat, ('train/1.xml', ORIENTED), '1.xml has an object "ship" with an oriented box .*as YOLO'),
        (
            exports.voc_flat,
            ('train/1.xml', POLYGON.format('nan')),
            '1.xml has an object "ship" with a polygon that is not',
        ),
        (
            exports.voc_flat,
            ('train/1.xml', POLYGON.format('')),
            '1.xml has an object "ship" with a polygon that is not',
        ),
        (exports.index_masks, ('classes.txt', 'ground\nplane\n'), 'pixels of value 2, but there are 2 classes'),
        (exports.colour_masks, ('class_dict.csv', 'ground,0,0,0\nplane,250,40,40\n'), 'colour (40, 60, 250)'),
    ],
)
def test_bad_labels_are_said(export, change, message, tmp_path):
    root = tmp_path / 'own'
    root.mkdir()
    export(root)
    if change is None:
        with pytest.raises(ValueError, match='boxes without outlines'):
            prepare(root, tmp_path / 'out', task='segmentation')
        return
    (root / change[0]).write_text(change[1])
    exports.images(root / 'bare', ['x.png', 'y.png'])
    with pytest.raises((ValueError, FileNotFoundError), match='.*' + message.replace('(', r'\(').replace(')', r'\)')):
        prepare(root, tmp_path / 'out')
    assert not (tmp_path / 'out' / 'mmest_data.json').exists()


def test_masks_are_not_for_detectors(tmp_path):
    exports.index_masks(tmp_path)
    with pytest.raises(ValueError, match='choose --model upernet, segformer or fcn'):
        prepare(tmp_path, tmp_path / 'out', task='detection')


def test_a_folder_without_labels_is_said(tmp_path):
    exports.images(tmp_path / 'own', ['a.png', 'b.png'])
    with pytest.raises(ValueError, match='holds 2 files .* and no labels that are known: expected COCO JSON'):
        prepare(tmp_path / 'own', tmp_path / 'out')


@pytest.mark.parametrize(
    'name, content, reason',
    [
        ('data.yaml', 'path: "C:\\Users\\me"\ntrain: images', 'data.yaml is not valid YAML: while scanning'),
        ('data.yaml', 'train: images\nval: images\nnc: 2', 'data.yaml has no names of classes.'),
        ('data.yaml', 'names: [plane]', 'data.yaml has no train, val or test.'),
        ('labels.json', '{"images": [', 'labels.json is not valid JSON: Expecting value'),
        ('labels.json', '{"images": [], "annotations": []}', "labels.json has no 'categories'."),
    ],
)
@pytest.mark.parametrize('named', ['folder', 'file'])
def test_a_description_that_is_not_whole_is_named(name, content, reason, named, tmp_path):
    exports.images(tmp_path / 'images', ['a.png'])
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError) as said:
        read(tmp_path if named == 'folder' else tmp_path / name)
    assert str(said.value).startswith(f'{tmp_path}/{reason}') and 'expected COCO JSON' in str(said.value)


@pytest.mark.parametrize(
    'names, expected',
    [
        ('[yes, no]', ['yes', 'no']),
        ('{0: on, 1: off}', ['on', 'off']),
        ('\n  1: No\n  0: Y', ['Y', 'No']),
        ('[010, 2024-01-01]', ['010', '2024-01-01']),
    ],
)
def test_names_of_classes_are_those_that_are_written(names, expected, tmp_path):
    """YAML 1.1 makes truth values, octal numbers and dates of them."""
    exports.yolo_roboflow(tmp_path)
    (tmp_path / 'data.yaml').write_text(f'train: train/images\nval: valid/images\ntest:\nnames: {names}\n')
    assert read(tmp_path).classes == expected


def test_names_may_come_by_a_merge_key(tmp_path):
    exports.yolo_roboflow(tmp_path)
    text = 'base: &base\n  names: [on, off]\n<<: *base\ntrain: train/images\nval: valid/images\n'
    (tmp_path / 'data.yaml').write_text(text)
    assert read(tmp_path).classes == ['on', 'off']


@pytest.mark.parametrize('names, found', [('{1: a, 2: b}', '1, 2; expected 0 to 1'), ('{a: b}', 'a; expected 0 to 0')])
def test_names_with_other_numbers_are_said(names, found, tmp_path):
    exports.yolo_roboflow(tmp_path)
    (tmp_path / 'data.yaml').write_text(f'train: train/images\nval: valid/images\nnames: {names}\n')
    with pytest.raises(ValueError, match=f'data.yaml numbers its names {found}'):
        read(tmp_path)


def test_labels_lie_in_place_of_the_last_images_of_a_path(tmp_path):
    """Others that lie in place of the first are of another set."""
    root = tmp_path / 'images' / 'own'
    truth = exports.yolo_ultralytics(root)
    other = tmp_path / 'labels' / 'own' / 'images' / 'train'
    other.mkdir(parents=True)
    for name in truth['train']:
        (other / name).with_suffix('.txt').write_text('0 0.5 0.5 0.1 0.1\n' * 9)
    found = {sample.image.name: len(sample.objects) for sample in read(root).samples if sample.split == 'train'}
    assert found == {name: len(boxes) for name, boxes in truth['train'].items()}


def stated(encoding: str, name: str) -> str:
    """Pascal VOC that states its encoding."""
    return f'<?xml version="1.0" encoding="{encoding}"?>\n' + ''.join(
        ['<annotation><object><name>', name, '</name><bndbox><xmin>5</xmin><ymin>5</ymin>']
        + ['<xmax>20</xmax><ymax>20</ymax></bndbox></object></annotation>']
    )


@pytest.mark.parametrize(
    'encoding, name, saved',
    [
        ('GBK', '船', 'gbk'),
        ('gb2312', '船', 'gb2312'),
        ('GB2312', '镕', 'gbk'),
        ('big5', '船', 'big5'),
        ('Shift_JIS', '船', 'shift-jis'),
        ('ISO-8859-1', 'é', 'latin-1'),
        ('utf-8', '船', 'utf-8'),
        ('utf-8', '船', 'utf-8-sig'),
        ('utf-16', '船', 'utf-16'),
    ],
)
@pytest.mark.parametrize('export', [exports.voc_flat, exports.vocdevkit])
def test_xml_is_read_in_the_encoding_that_it_states(export, encoding, name, saved, tmp_path):
    export(tmp_path)
    for file in tmp_path.rglob('*.xml'):
        file.write_bytes(stated(encoding, name).encode(saved))
    assert read(tmp_path).classes == [name]


@pytest.mark.parametrize(
    'content, said',
    [
        (stated('x-own', 'a').encode(), 'states the encoding x-own, which is not known. Save it as UTF-8'),
        (stated('hex', 'a').encode(), 'states the encoding hex, which is not known'),
        (stated('utf-8', 'é').encode('latin-1'), "is not valid XML: 'utf-8' codec can't decode"),
        (stated('gbk', 'a').encode()[:90], 'is not valid XML: unclosed token'),
        (stated('utf-8', 'a').encode()[:90], 'is not valid XML: unclosed token'),
        (stated('utf-8', 'a').replace('>5<', '>left<').encode(), 'has an object "a" without four numbers in bndbox'),
        (b'<annotation><size><width>wide</width></size></annotation>', 'has a size that is not of numbers'),
    ],
)
@pytest.mark.parametrize('export', [exports.voc_flat, exports.vocdevkit])
@pytest.mark.parametrize('all_of_them', [True, False])
def test_xml_that_cannot_be_read_is_named(export, content, said, all_of_them, tmp_path):
    export(tmp_path)
    files = sorted(tmp_path.rglob('*.xml'))
    for file in files if all_of_them else files[-1:]:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=rf'/\w+\.xml {re.escape(said)}'):
        read(tmp_path)


@pytest.mark.parametrize('line', ['0 nan 0.5 0.1 0.1', '0 0.1 0.1 nan 0.2 0.3 0.3', '0 0.1 0.1 0.2 0.2 0.3 inf'])
def test_labels_with_nan_are_left_out_and_counted(line, tmp_path):
    exports.yolo_outlines(tmp_path)
    (tmp_path / 'labels' / 'train' / 'im1.txt').write_text(line)
    assert any('left out: 1 (im1.txt, line 1)' in note for note in read(tmp_path).notes.lines())


@pytest.mark.parametrize(('on_disk', 'written'), [('NFD', 'NFC'), ('NFC', 'NFD')])
def test_accents_of_file_names_may_be_composed_or_not(on_disk, written, tmp_path):
    exports.label_studio(tmp_path / 'own')
    for image in list((tmp_path / 'own' / 'images').iterdir()):
        image.rename(image.with_name(unicodedata.normalize(on_disk, f'Fläche-{image.name}')))
    file = tmp_path / 'own' / 'result.json'
    content = json.loads(file.read_text('utf-8-sig'))
    for image in content['images']:
        folder, _, name = image['file_name'].rpartition('\\')
        image['file_name'] = unicodedata.normalize(written, f'{folder}\\Fläche-{name}')
    file.write_text(json.dumps(content))
    data = read(tmp_path / 'own')
    assert len(data.samples) == 10 and all(sample.image.is_file() for sample in data.samples)
    assert not [line for line in data.notes.lines() if 'left out' in line or 'not there' in line]
