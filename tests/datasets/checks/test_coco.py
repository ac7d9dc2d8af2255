"""Annotation files: what is refused, what is left out, what is filled in, and that classes are matched by name."""

import copy
import json
import re

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmest.datasets.checks import check_data

CLASSES = ('ship', 'plane')
BOXES = [[10, 12, 24, 20], [40, 30, 20, 40], [5, 60, 12, 8], [70, 70, 20, 20]]


def content(number=4, classes=CLASSES) -> dict:
    """As a tool writes it that does all right."""
    return dict(
        images=[dict(id=i + 1, file_name=f'{i}.png', width=96, height=96) for i in range(number)],
        annotations=[
            dict(id=i + 1, image_id=i + 1, category_id=i % 2 + 1, bbox=BOXES[i % 4], area=200, iscrowd=0)
            for i in range(number)
        ],
        categories=[dict(id=i + 1, name=name) for i, name in enumerate(classes)],
    )


@pytest.fixture
def data(tmp_path):
    """A folder, and a function that writes an annotation file and returns the config that trains on it."""
    (tmp_path / 'images').mkdir()
    for number in range(4):
        Image.fromarray(np.zeros((96, 96, 3), np.uint8)).save(tmp_path / 'images' / f'{number}.png')

    def config(train=None, val=None, classes=CLASSES) -> Config:
        for split, annotations in (('train', train), ('val', val)):
            raw = annotations if isinstance(annotations, bytes) else json.dumps(annotations or content()).encode()
            (tmp_path / f'{split}.json').write_bytes(raw)
        loaders = {
            f'{split}_dataloader': dict(
                dataset=dict(
                    type='CocoDataset',
                    data_root=str(tmp_path),
                    ann_file=f'{split}.json',
                    data_prefix=dict(img='images/'),
                    metainfo=dict(classes=classes),
                )
            )
            for split in ('train', 'val')
        }
        metric = dict(type='CocoMetric', ann_file=str(tmp_path / 'val.json'), metric='bbox')
        return Config(dict(default_scope='mmdet', work_dir=str(tmp_path / 'work'), val_evaluator=metric, **loaders))

    return config


def read(cfg: Config, split: str = 'train') -> dict:
    dataset = cfg[f'{split}_dataloader'].dataset
    path = dataset.ann_file if dataset.ann_file.startswith('/') else f'{dataset.data_root}/{dataset.ann_file}'
    with open(path) as stream:
        return json.load(stream)


def edited(change) -> dict:
    whole = content()
    change(whole)
    return whole


def each(kind, **values):
    """Set values in every entry of a list; None removes a key."""

    def change(whole):
        for one in whole[kind]:
            one.update(values)
            for key in [key for key, value in values.items() if value is None]:
                del one[key]

    return change


def first(kind, **values):
    return lambda whole: whole[kind][0].update(values)


def test_what_is_right_is_read_as_it_is(data):
    cfg = data()
    (note,) = check_data(cfg, ['train', 'val'])
    assert '4 of 4 images of val_dataloader are trained on too' in note
    assert check_data(cfg, ['val']) == []
    assert cfg.train_dataloader.dataset.ann_file == 'train.json'
    assert cfg.val_evaluator.ann_file.endswith('/val.json')


@pytest.mark.parametrize(
    'change, note, check',
    [
        (each('annotations', area=None), 'area of 4 objects was missing', lambda c: c['annotations'][0]['area'] == 480),
        (first('annotations', area=0), 'area of 1 object was', lambda c: c['annotations'][0]['area'] == 480),
        (first('annotations', area='12'), 'area of 1 object was', lambda c: c['annotations'][0]['area'] == 480),
        (each('annotations', iscrowd=None), 'iscrowd of 4', lambda c: all(a['iscrowd'] == 0 for a in c['annotations'])),
        (each('images', width=None, height=None), '4 images are filled in', lambda c: c['images'][3]['width'] == 96),
        (first('images', width='96'), '1 image are filled in', lambda c: c['images'][0]['width'] == 96),
        (first('annotations', id=0), 'contain 0', lambda c: [a['id'] for a in c['annotations']] == [1, 2, 3, 4]),
        (each('annotations', id=7), 'repeat, such as 7', lambda c: [a['id'] for a in c['annotations']] == [1, 2, 3, 4]),
        (each('annotations', id=None), 'are missing', lambda c: [a['id'] for a in c['annotations']] == [1, 2, 3, 4]),
        (each('annotations', id='a'), 'are text', lambda c: [a['id'] for a in c['annotations']] == [1, 2, 3, 4]),
        (
            first('annotations', bbox=[80.5, 80, 60, 60]),
            'cut to it: 1 of 4',
            lambda c: c['annotations'][0]['bbox'] == [80.5, 80, 15.5, 16],
        ),
        (
            first('annotations', bbox=None, segmentation=[[1, 2, 5, 2, 5, 9]]),
            'bbox of 1 object was missing',
            lambda c: c['annotations'][0]['bbox'] == [1, 2, 4, 7],
        ),
        (first('images', file_name='.\\0.png'), '1 file name', lambda c: c['images'][0]['file_name'] == './0.png'),
        (
            lambda c: c['categories'].append(dict(id=9, name='ship')) or c['annotations'][0].update(category_id=9),
            'category ship is there under several ids',
            lambda c: len(c['categories']) == 2 and c['annotations'][0]['category_id'] == 1,
        ),
    ],
)
def test_what_can_be_computed_is_filled_in_beside_the_file(data, tmp_path, change, note, check):
    broken = edited(change)
    cfg = data(broken, broken)
    again = copy.deepcopy(cfg)
    notes = check_data(cfg, ['train', 'val'])
    assert check(read(cfg)) and check(read(cfg, 'val'))
    assert cfg.val_evaluator.ann_file == cfg.val_dataloader.dataset.ann_file
    assert all(any(re.search(f'{split}.json.*{note}', one) for one in notes) for split in ('train', 'val'))
    assert json.loads((tmp_path / 'train.json').read_text()) == broken
    assert check_data(again, ['train', 'val']) == notes and again.train_dataloader == cfg.train_dataloader


@pytest.mark.parametrize(
    'change, note',
    [
        (first('annotations', bbox=[500, 500, 20, 20]), '1 of 4 objects left out, as they lie outside .*annotation 1'),
        (first('annotations', bbox=[-30, 5, 20, 20]), 'lie outside'),
        (first('annotations', bbox=[10, 10, 0, 12]), 'narrower than one pixel'),
        (first('annotations', bbox=[30, 30, -20, 12]), 'negative width'),
        (first('annotations', bbox=[float('nan'), 1, 20, 20]), 'NaN or infinity'),
        (first('annotations', bbox=[1, 1, float('inf'), 20]), 'NaN or infinity'),
        (first('annotations', bbox=None), 'have no box'),
        (first('annotations', image_id=99), 'name an image that the file does not have'),
        (first('annotations', category_id=99), 'name a category that the file does not have'),
    ],
)
def test_single_objects_are_left_out_and_counted(data, change, note):
    cfg = data(edited(change))
    assert re.search(note, '\n'.join(check_data(cfg, ['train'])))
    assert [one['id'] for one in read(cfg)['annotations']] == [2, 3, 4]
    json.dumps(read(cfg), allow_nan=False)


@pytest.mark.parametrize(
    'change, sentence',
    [
        (first('annotations', bbox=['10', '12', '24', '20']), r"annotation 1 has the bbox \['10'.* in numbers"),
        (first('annotations', bbox=[10, 12, 24]), r'annotation 1 has the bbox \[10, 12, 24\]'),
        (first('annotations', image_id='1'), "annotation 1 has the image_id '1'.*a number here and a text there"),
        (first('annotations', category_id='1'), "annotation 1 has the category_id '1'"),
        (first('annotations', iscrowd='yes'), "annotation 1 has iscrowd 'yes'"),
        (each('annotations', bbox=[500, 500, 20, 20]), '4 of 4 objects cannot be used.*too many'),
        (each('annotations', image_id=99), '4 of 4 objects cannot be used'),
        (each('annotations', bbox=[0.5, 0.5, 0.25, 0.125]), 'every box lies between 0 and 1'),
        (each('annotations', bbox=[50, 50, 90, 80], area=None), 'seem to be x1, y1, x2, y2'),
        (each('annotations', bbox=[10, 12, 34, 32], area=480), 'seem to be x1.*another area than the file states'),
        (first('images', id=2), 'image id 2 is there 2 times, for 0.png, 1.png'),
        (first('images', width=200, height=50), '0.png has 96×96 pixels, but .*train.json says 200×50'),
        (first('images', file_name=None), r'entry 0 of "images" \(id 1\) has no file_name'),
        (first('images', id=None), 'entry 0 of "images".* has no id'),
        (first('categories', id=2), 'two categories have the id 2: ship and plane'),
        (lambda c: c.update(annotations=[]), 'no image has an object of the classes ship, plane'),
        (lambda c: c.pop('annotations'), 'no image has an object of the classes'),
        (lambda c: c.update(annotations={}), '"annotations" is no list'),
        (lambda c: c.pop('categories'), 'is not in COCO format'),
        (lambda c: c.update(images=[]), 'names no image'),
        (first('images', file_name='\ud800.png'), 'image 1 has the file_name .*ud800.png.*the name of a file'),
        (first('images', file_name='a\0.png'), 'image 1 has the file_name'),
        (first('images', file_name=3), 'image 1 has the file_name 3'),
        (lambda c: c.update(categories=[]), r'has the classes \(none\), but .* asks for ship, plane'),
        (lambda c: c.update(categories=['ship']), 'an entry of "categories" is not an object'),
        (each('categories', name='Ship'), 'asks for ship, plane.*"Ship" instead of "ship"'),
    ],
)
def test_what_is_in_doubt_is_refused(data, change, sentence):
    with pytest.raises(ValueError, match=f'train.json.*{sentence}|{sentence}'):
        check_data(data(edited(change)), ['train'])


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32'])
def test_encodings_of_other_tools(data, encoding):
    cfg = data(json.dumps(content()).encode(encoding))
    assert any('plain UTF-8' in note for note in check_data(cfg, ['train']))
    assert read(cfg) == content()


def test_no_text_at_all(data):
    with pytest.raises(ValueError, match='train.json is not valid JSON: maximum recursion depth'):
        check_data(data(b'[' * 100_000), ['train'])
    with pytest.raises(ValueError, match=r'train.json is not valid JSON: is no text in UTF-8 or UTF-16 \(byte 0'):
        check_data(data(b'\xe9\xe8' * 9), ['train'])


def test_a_file_of_one_split_without_objects_of_a_class(data):
    """Some tools list only the categories that occur."""
    alone = content(classes=('plane',))
    for one in alone['annotations']:
        one['category_id'] = 1
    cfg = data(val=alone)
    assert any('has no category ship' in note for note in check_data(cfg, ['train', 'val']))
    assert [one['name'] for one in read(cfg, 'val')['categories']] == list(CLASSES)


def test_what_is_not_asked_for_is_said(data):
    whole = content()
    whole['annotations'][3]['iscrowd'] = 1
    cfg = data(whole, classes=('ship',))
    notes = '\n'.join(check_data(cfg, ['train']))
    assert '2 objects of classes that train_dataloader.dataset does not name are left out: plane' in notes
    assert '1 object marked "iscrowd"' in notes
    assert '2 of 4 images show no object: they are learned as background' in notes


@pytest.mark.parametrize(
    'assigner, fate',
    [('MaxIoUAssigner', 'counts neither as object nor as background'), ('SimOTAAssigner', 'are learned as background')],
)
def test_what_a_detector_makes_of_ignored_objects_is_said(data, assigner, fate):
    whole = content()
    whole['annotations'][3]['iscrowd'] = 1
    cfg = data(whole)
    cfg.model = dict(type='RetinaNet', train_cfg=dict(assigner=dict(type=assigner)))
    assert fate in '\n'.join(note for note in check_data(cfg, ['train']) if 'iscrowd' in note)


def test_val_without_objects_is_said(data):
    for change in (lambda whole: whole.update(annotations=[]), lambda whole: whole.pop('annotations')):
        cfg = data(val=edited(change))
        assert any('no image has an object' in note for note in check_data(cfg, ['val']))
        assert read(cfg, 'val')['annotations'] == []


def test_notes_reach_the_terminal_of_a_quiet_training(data):
    from mmest.engine.quiet import show_notes

    shown = []
    show_notes(shown.append)
    assert check_data(data(edited(first('annotations', id=0))), ['train']) == shown != []


def test_objects_that_are_there_twice_are_said(data):
    whole = content()
    whole['annotations'].append(dict(whole['annotations'][0], id=9))
    assert any('1 object is there more than once' in note for note in check_data(data(whole), ['train']))


def test_images_that_cannot_be_read(data, tmp_path):
    cfg = data()
    whole = (tmp_path / 'images/2.png').read_bytes()
    for broken in (b'', b'no image', whole[:-30]):
        (tmp_path / 'images/2.png').write_bytes(broken)
        with pytest.raises(ValueError, match='2.png is not a whole image'):
            check_data(cfg, ['train'])
    (tmp_path / 'images/2.png').write_bytes(whole)
    assert check_data(cfg, ['train']) == []
    (tmp_path / 'images/2.png').rename(tmp_path / 'images/2.PNG')
    with pytest.raises(FileNotFoundError, match=r'2.png \(2.PNG is there\)'):
        check_data(cfg, ['train'])


def test_links_are_followed_and_come_to_an_end(data, tmp_path):
    cfg = data()
    (tmp_path / 'images/again').symlink_to(tmp_path / 'images')
    (tmp_path / 'images/0.png').rename(tmp_path / 'elsewhere.png')
    (tmp_path / 'images/0.png').symlink_to(tmp_path / 'elsewhere.png')
    assert check_data(cfg, ['train']) == []
    (tmp_path / 'elsewhere.png').unlink()
    with pytest.raises(FileNotFoundError, match='of which 1 are not in .*: 0.png'):
        check_data(cfg, ['train'])


def test_the_metric_compares_with_what_is_read(data, tmp_path):
    cfg = data(val=content(2))
    cfg.val_evaluator.ann_file = str(tmp_path / 'train.json')
    with pytest.raises(ValueError, match='val_evaluator compares with .*train.json, but .* reads .*val.json'):
        check_data(cfg, ['val'])


def test_classes_are_matched_by_name_by_data_set_and_metric(data):
    """Three orders: the config's, and those of the two files. A perfect detector scores 1 in each class."""
    from mmengine.registry import DATASETS, METRICS, init_default_scope

    init_default_scope('mmdet')
    classes = ('plane', 'ship')
    turned = content(classes=('plane', 'ship'))
    for one in turned['annotations']:
        one['category_id'] = 3 - one['category_id']
    turned['categories'].reverse()
    cfg = data(content(), turned, classes)
    check_data(cfg, ['train', 'val'])
    truth = [classes.index(('ship', 'plane')[number % 2]) for number in range(4)]
    for split in ('train', 'val'):
        dataset = DATASETS.build(dict(cfg[f'{split}_dataloader'].dataset, pipeline=[]))
        assert [dataset.get_data_info(number)['instances'][0]['bbox_label'] for number in range(4)] == truth
    metric = METRICS.build(dict(cfg.val_evaluator, classwise=True))
    metric.dataset_meta = dataset.metainfo
    for number, label in enumerate(truth):
        x, y, w, h = BOXES[number]
        found = dict(
            bboxes=np.array([[x, y, x + w, y + h]]), scores=np.array([0.9]), labels=np.array([label]), img_id=number + 1
        )
        metric.results.append((dict(img_id=number + 1, width=96, height=96), found))
    scores = metric.compute_metrics(metric.results)
    assert scores['plane_precision'] == scores['ship_precision'] == scores['bbox_mAP'] == 1
