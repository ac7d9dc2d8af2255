"""Pascal VOC: from where corners are counted, and which list or folder says the split."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmest.datasets.own.detect import read


def voc(root: Path, boxes: Mapping[str, tuple], stated: str = '{}.jpg') -> None:
    """The layout of VOCdevkit: an annotation with one box by the name of each, of an image that it states."""
    for folder in ('JPEGImages', 'Annotations'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, box in boxes.items():
        corners = ''.join(f'<{side}>{value}</{side}>' for side, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), box))
        image = stated.format(name)
        Image.fromarray(np.full((48, 64), 90, np.uint8)).save(root / 'JPEGImages' / image)
        (root / 'Annotations' / f'{name}.xml').write_text(
            f'<annotation><filename>{image}</filename><object><name>a</name><bndbox>{corners}</bndbox></object>'
            '</annotation>'
        )


@pytest.mark.parametrize('first, moved', [((1, 1, 9, 9), 1), ((0, 5, 9, 9), 0), ((5, 0, 9, 9), 0), ((5, 5.5, 9, 9), 0)])
def test_corners_are_counted_from_1_where_none_says_otherwise(first, moved, tmp_path):
    voc(tmp_path, dict(a=first, b=(10, 20, 30, 40)))
    data = read(tmp_path)
    assert data.samples[1].objects[0].box == (10 - moved, 20 - moved, 30, 40)
    assert ('corners are counted from 1, as in VOCdevkit' in data.notes.lines()) == moved


@pytest.mark.parametrize('stated', ['{}.jpg', 'photo_{}.jpg'])
@pytest.mark.parametrize('above', ['.', 'train_and_val'])
def test_lists_say_more_than_the_folder_around_them(above, stated, tmp_path):
    """They name images, whatever the annotations are called."""
    root, names = tmp_path / above, dict(train='a', val='b', test='c')
    voc(root, dict.fromkeys(names.values(), (5, 5, 9, 9)), stated)
    (root / 'ImageSets/Main').mkdir(parents=True)
    for split, name in names.items():
        (root / 'ImageSets/Main' / f'{split}.txt').write_text(Path(stated.format(name)).stem)
    assert [sample.split for sample in read(tmp_path).samples] == ['train', 'val', 'test']


@pytest.mark.parametrize('folder', ['SegmentationClass', 'masks', 'Trimaps'])
def test_masks_of_the_same_names_are_no_images(folder, tmp_path):
    voc(tmp_path, dict(a=(5, 5, 9, 9)))
    (tmp_path / folder).mkdir()
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(tmp_path / folder / 'a.png')
    data = read(tmp_path)
    assert [sample.name for sample in data.samples] == ['JPEGImages/a.jpg']
    assert not any('left out' in line for line in data.notes.lines())


def test_of_images_that_differ_in_their_ending_the_stated_one_is_meant(tmp_path):
    voc(tmp_path, dict(a=(5, 5, 9, 9)), '{}.png')
    Image.fromarray(np.full((48, 64), 90, np.uint8)).save(tmp_path / 'JPEGImages/a.jpg')
    assert [sample.name for sample in read(tmp_path).samples] == ['JPEGImages/a.png']


def test_what_gdal_writes_beside_images_hides_no_annotations(tmp_path):
    voc(tmp_path, dict(a=(5, 5, 9, 9)))
    for number in range(4):
        (tmp_path / f'{number}.tif.aux.xml').write_text('<PAMDataset/>')
    assert read(tmp_path).format == 'Pascal VOC'


def test_an_annotation_is_of_the_image_of_its_name_whatever_it_states(tmp_path):
    """As where images were renamed."""
    voc(tmp_path, dict(a=(5, 5, 9, 9), b=(20, 20, 40, 40)))
    file = tmp_path / 'Annotations/a.xml'
    file.write_text(file.read_text().replace('a.jpg', 'b.jpg'))
    found = {sample.name[-5]: sample.objects[0].box[2] for sample in read(tmp_path).samples}
    assert found == dict(a=9, b=40)


def test_of_names_in_several_lists_and_parts_of_names(tmp_path):
    """None that is to be tested trains, and none that trains validates."""
    voc(tmp_path, dict.fromkeys(('a', 'b', 'c', 'c d'), (5, 5, 9, 9)))
    (tmp_path / 'ImageSets/Main').mkdir(parents=True)
    for split, text in dict(train='a\nb\nc d', val='b\nc', test='a').items():
        (tmp_path / 'ImageSets/Main' / f'{split}.txt').write_text(text)
    splits = {Path(sample.name).stem: sample.split for sample in read(tmp_path).samples}
    assert splits == {'a': 'test', 'b': 'train', 'c': 'val', 'c d': 'train'}
