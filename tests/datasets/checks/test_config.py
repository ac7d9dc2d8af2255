"""Bad data gets a sentence before anything is built."""

import json

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmest.datasets.checks import check_data


@pytest.fixture
def coco(tmp_path):
    """A config of a small COCO data set that is whole."""
    (tmp_path / 'train').mkdir()
    names = [f'{i}.png' for i in range(5)]
    for name in names:
        write_mask(tmp_path / 'train' / name, np.zeros((64, 64, 3)))
    write_coco(tmp_path, names)
    return Config(
        dict(
            default_scope='mmdet',
            train_dataloader=dict(
                dataset=dict(
                    type='CocoDataset',
                    data_root=str(tmp_path),
                    ann_file='train.json',
                    data_prefix=dict(img='train/'),
                    metainfo=dict(classes=('plane',)),
                )
            ),
        )
    )


@pytest.fixture
def masks(tmp_path):
    """A config of a small image/mask folder pair that is whole."""
    for folder in ('images', 'masks'):
        (tmp_path / folder).mkdir()
        for name in 'abcde':
            write_mask(tmp_path / folder / f'{name}.png', [[0, 1, 255]])
    return Config(
        dict(
            default_scope='mmseg',
            train_dataloader=dict(
                dataset=dict(
                    type='BaseSegDataset',
                    data_root=str(tmp_path),
                    data_prefix=dict(img_path='images', seg_map_path='masks'),
                    img_suffix='.png',
                    seg_map_suffix='.png',
                    metainfo=dict(classes=('land', 'water')),
                    pipeline=[dict(type='LoadAnnotations')],
                )
            ),
        )
    )


def write_mask(path, pixels):
    Image.fromarray(np.uint8(pixels)).save(path)


def write_coco(folder, names, classes=('plane',)):
    content = dict(
        images=[dict(id=i, file_name=name, width=64, height=64) for i, name in enumerate(names)],
        annotations=[
            dict(id=i + 1, image_id=i, category_id=0, bbox=[8, 8, 16, 16], area=256, iscrowd=0)
            for i in range(len(names))
        ],
        categories=[dict(id=i, name=name) for i, name in enumerate(classes)],
    )
    (folder / 'train.json').write_text(json.dumps(content))


def test_whole_data_passes(coco, masks):
    check_data(coco, ['train', 'val', 'test'])
    check_data(masks, ['train'])


def test_data_sets_inside_wrappers_are_checked(coco):
    inner = coco.train_dataloader.dataset
    inner.ann_file = 'other.json'
    coco.train_dataloader.dataset = dict(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=[inner]))
    with pytest.raises(FileNotFoundError, match='other.json'):
        check_data(coco, ['train'])


def test_missing_root(coco, tmp_path):
    coco.train_dataloader.dataset.data_root = str(tmp_path / 'gone')
    with pytest.raises(FileNotFoundError, match='data folder .*gone is not there.*--cfg-options train_dataloader'):
        check_data(coco, ['train'])


def test_missing_split_says_what_is_there(coco):
    coco.train_dataloader.dataset.data_prefix.img = 'training/'
    with pytest.raises(FileNotFoundError, match='training, which is not there; .* holds train, train.json'):
        check_data(coco, ['train'])


def test_missing_annotation_file(coco):
    coco.train_dataloader.dataset.ann_file = 'annotations/train.json'
    with pytest.raises(
        FileNotFoundError, match='annotations/train.json, which is not there; .* holds train, train.json'
    ):
        check_data(coco, ['train'])


def test_missing_file_of_the_metric(coco):
    coco.train_evaluator = dict(type='CocoMetric', ann_file='gone.json')
    with pytest.raises(FileNotFoundError, match='train_evaluator is not there: gone.json'):
        check_data(coco, ['train'])


def test_annotations_that_name_missing_images(coco, tmp_path):
    write_coco(tmp_path, ['0.png'] + [f'lost-{i}.png' for i in range(5)])
    with pytest.raises(
        FileNotFoundError, match='names 6 images, of which 5 are not in .*: lost-0.png, lost-1.png, lost-2'
    ):
        check_data(coco, ['train'])


def test_other_classes_than_the_config(coco, tmp_path):
    write_coco(tmp_path, ['0.png'], classes=('Plane', 'Ship'))
    with pytest.raises(ValueError, match='has the classes Plane, Ship, but .* asks for plane'):
        check_data(coco, ['train'])


def test_damaged_annotation_file(coco, tmp_path):
    (tmp_path / 'train.json').write_text('{"images": [')
    with pytest.raises(ValueError, match='not valid JSON'):
        check_data(coco, ['train'])


def test_images_without_masks(masks, tmp_path):
    (tmp_path / 'masks' / 'c.png').unlink()
    with pytest.raises(FileNotFoundError, match='1 of 5 images .* have no mask .*: c.png|such as c.png'):
        check_data(masks, ['train'])


def test_other_endings_of_images(masks):
    masks.train_dataloader.dataset.img_suffix = '.jpg'
    with pytest.raises(FileNotFoundError, match=r'expects images \*.jpg .* there are none; .* holds a.png'):
        check_data(masks, ['train'])


@pytest.mark.parametrize(
    'pixels, sentence',
    [
        ([[7, 2, 255]], r'c.png has pixels of value 2, 7, but .* has 2 classes, numbered 0 to 1 \(255 is ignored\)'),
        ([[[0, 0, 0], [9, 9, 9], [9, 9, 9]]], 'c.png is a colour image'),
    ],
)
def test_masks_with_other_values_than_classes(masks, tmp_path, pixels, sentence):
    path = tmp_path / 'masks' / 'c.png'
    write_mask(path, pixels)
    with pytest.raises(ValueError, match=sentence):
        check_data(masks, ['train'])
    masks.train_dataloader.dataset.type = 'MyDataset'  # which may translate them
    check_data(masks, ['train'])


def test_damaged_masks(masks, tmp_path):
    (tmp_path / 'masks' / 'c.png').write_bytes(b'')
    with pytest.raises(ValueError, match='The mask .*c.png is not a whole image'):
        check_data(masks, ['train'])


def test_masks_without_folder_or_classes(masks):
    dataset = masks.train_dataloader.dataset
    del dataset.data_prefix['seg_map_path']
    with pytest.raises(ValueError, match='loads masks .LoadAnnotations., but names no folder of them'):
        check_data(masks, ['train'])
    dataset.pipeline = []
    assert check_data(masks, ['train']) == []
    dataset.metainfo = dict(classes=())
    with pytest.raises(ValueError, match='names no class'):
        check_data(masks, ['train'])


def test_other_readers_are_said(coco):
    from mmengine.registry import DATASETS

    @DATASETS.register_module(force=True)
    class OtherReader:
        METAINFO = dict(classes=('plane',))

        def load_data_list(self):
            """In its own way."""

    coco.train_dataloader.dataset.type = 'OtherReader'
    assert check_data(coco, ['train']) == [
        'train_dataloader.dataset is read by OtherReader in its own way: only its folders were looked at.'
    ]
    DATASETS.module_dict.pop('OtherReader')
