"""Which image labels are of: never one that only has the name of another."""

import json

import exports
import pytest

from mmest.datasets.own.detect import read


def coco(root, file, names, kind=0):
    """A COCO file of images with a box of one class each, all alike."""
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(exports.coco({name: [(kind, 5, 5, 20, 20)] for name in names})))


def labelled(data) -> dict[str, int]:
    return {sample.name: len(sample.objects) for sample in data.samples}


@pytest.mark.parametrize(
    'there, stated, missing',
    [
        (['siteA/0.png', 'siteA/1.png'], ['siteA/0.png', 'siteA/1.png', 'siteB/0.png'], ['siteB/0.png']),
        (['siteA/0.png', 'siteA/1.png'], ['siteB/0.png', 'siteA/1.png'], ['siteB/0.png']),
        (['siteA/0.png', 'images/0.png'], ['siteA/0.png', 'siteB/0.png'], ['siteB/0.png']),
        (['images/0.png', '1.png', '2.png'], ['siteA/0.png', 'siteB/0.png', '1.png', '2.png'], ['siteA/0.png']),
        (['train/0.png', 'val/1.png'], ['val/0.png', 'val/1.png'], ['val/0.png']),
    ],
)
def test_an_image_of_coco_that_is_missing_is_not_another_of_its_name(there, stated, missing, tmp_path):
    for number, name in enumerate(there):
        exports.images((tmp_path / name).parent, [(tmp_path / name).name], first=number)
    coco(tmp_path, 'labels.json', stated)
    data = read(tmp_path)
    assert labelled(data) == {name: 1 for name in stated if name in there}
    assert any(
        line.startswith('images that are named but not there: ') and missing[0] in line for line in data.notes.lines()
    )


@pytest.mark.parametrize('folders', [('siteA', 'siteB'), ('train', 'valid')])
def test_an_image_that_another_file_of_coco_has_in_its_place_is_not_taken_for_a_missing_one(folders, tmp_path):
    for number, place in enumerate(folders):
        exports.images(tmp_path / place, ['0.png', '1.png'], first=2 * number)
        coco(tmp_path, f'{place}/_annotations.coco.json', ['0.png', '1.png'], kind=number)
    (tmp_path / folders[1] / '0.png').unlink()
    assert labelled(read(tmp_path)) == {f'{folders[0]}/0.png': 1, f'{folders[0]}/1.png': 1, f'{folders[1]}/1.png': 1}


@pytest.mark.parametrize(
    'there, stated',
    [
        ('0.png', 'C:\\Users\\me\\pictures\\0.png'),
        ('images/0.png', '/label-studio/data/upload/3/0.png'),
        ('pictures/0.png', '0.png'),
        ('siteA/images/0.png', '/home/me/siteA/day1/0.png'),
        ('train/0.png', 'dataset_v1/0.png'),
    ],
)
def test_images_of_coco_that_lie_elsewhere_are_found_by_their_name(there, stated, tmp_path):
    exports.images((tmp_path / there).parent, ['0.png'])
    coco(tmp_path, 'labels.json', [stated])
    data = read(tmp_path)
    assert labelled(data) == {there: 1}
    told = any('images found by their name, in another folder than is stated: 1' in line for line in data.notes.lines())
    assert told == (stated != '0.png')


def test_of_several_images_of_one_name_the_one_in_the_stated_folder_is_meant(tmp_path):
    for number, place in enumerate(('siteA', 'siteB')):
        exports.images(tmp_path / place, ['0.png'], first=number)
    coco(tmp_path, 'labels.json', ['/mnt/photos/siteB/0.png'])
    assert labelled(read(tmp_path)) == {'siteB/0.png': 1}
    coco(tmp_path, 'labels.json', ['0.png'])
    with pytest.raises(
        ValueError, match='labels.json names the image 0.png, and there are 2 of that name: siteA/0.png'
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    'second, found, said',
    [
        ([(0, 5, 5, 20, 20), (1, 40, 5, 60, 30)], 2, [2, 0]),
        ([(0, 5, 5, 20, 20)], 2, [1, 0]),
        ([(1, 5, 5, 20, 20), (0, 5, 5, 21, 20)], 4, [0, 1]),
        ([(0, 5, 5, 20, 20), (0, 70, 5, 80, 20)], 3, [1, 1]),
        ([], 2, [0, 0]),
    ],
)
@pytest.mark.parametrize('turned', [False, True])
def test_an_image_that_one_file_lists_twice_has_each_object_once(second, found, said, turned, tmp_path):
    exports.images(tmp_path, ['0.png'])
    boxes = [[(0, 5, 5, 20, 20), (1, 40, 5, 60, 30)], second]
    content = exports.coco(dict(zip(['0.png', './0.png'], boxes[:: -1 if turned else 1])))
    (tmp_path / 'labels.json').write_text(json.dumps(content))
    data = read(tmp_path)
    assert labelled(data) == {'0.png': found}
    counts = []
    for start in ('objects that are there twice', 'images that one file lists under two ids'):
        lines = [line for line in data.notes.lines() if line.startswith(start)]
        counts.append(int(lines[0].split(': ')[1].split()[0]) if lines else 0)
    if not (turned and second == [(0, 5, 5, 20, 20)]):
        assert counts == said


@pytest.mark.parametrize(
    'shown, written',
    [('{}', '{}'), ('{}/images', '{}/xml'), ('JPEGImages/{}', 'Annotations/{}'), ('images/{}', 'annotations_{}')],
)
@pytest.mark.parametrize('annotated', [False, True])
def test_an_annotation_without_an_image_takes_none_of_another_split(annotated, shown, written, tmp_path):
    """Nor one that no annotation is of."""
    home = tmp_path / 'train' / 'own'  # what lies above says nothing
    for number, split in enumerate(('train', 'valid')):
        exports.images(home / shown.format(split), ['1.png', '2.png', '3.png'], first=3 * number)
        (home / written.format(split)).mkdir(parents=True, exist_ok=True)
        for name in '123':
            box = f'<bndbox><xmin>{number}</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>'
            text = f'<annotation><object><name>{split}</name>{box}</object></annotation>'
            (home / written.format(split) / f'{name}.xml').write_text(text)
    (home / shown.format('train') / '2.png').unlink()
    if not annotated:
        (home / written.format('valid') / '2.xml').unlink()
    data = read(home)
    found = {(sample.split, data.classes[one.label]) for sample in data.samples for one in sample.objects}
    assert found == {('train', 'train'), ('val', 'valid')}
    assert len(data.samples) == 5 - (not annotated)
    assert 'annotations without an image, left out: 1 (2)' in data.notes.lines()


@pytest.mark.parametrize('gone', [None, 'valid'])
def test_another_set_above_the_folder_is_not_taken_for_that_of_roboflow(gone, tmp_path):
    """Whose data.yaml says that its images lie above."""
    exports.yolo_roboflow(tmp_path)
    truth = exports.yolo_roboflow(tmp_path / 'own')
    if gone:
        (tmp_path / 'own' / gone).rename(tmp_path / 'elsewhere')
    data = read(tmp_path / 'own')
    assert len(data.samples) == sum(len(truth[split]) for split in truth if split != gone)
    assert all(sample.image.is_relative_to(tmp_path / 'own') for sample in data.samples)
    assert not any('outside of' in line for line in data.notes.lines())


def test_images_outside_of_the_folder_are_said(tmp_path):
    exports.yolo_roboflow(tmp_path)
    (tmp_path / 'own').mkdir()
    (tmp_path / 'data.yaml').rename(tmp_path / 'own' / 'data.yaml')
    data = read(tmp_path / 'own')
    assert len(data.samples) == 6
    assert f'images or labels lie outside of {tmp_path / "own"}: {tmp_path / "train" / "images"}, ' in '; '.join(
        data.notes.lines()
    )


def names(folder, numbers) -> str:
    return '\n'.join(f'{folder}/im{number}.png' for number in numbers)


@pytest.mark.parametrize(
    'said, validate, twice',
    [
        ('train: images\nval: images/val', (10, 11, 12), 3),
        ('train: .\nval: images/val\ntest: images/val', (10, 11, 12), 3),
        ('train: images\nval: val.txt', (10, 11), 2),
        ('train: all.txt\nval: val.txt', (10, 11), 2),
        ('train: images/train\nval: images', (10, 11, 12), 3),
        ('train: images\nval: images', (), 6),
        ('train: images/train\nval: images/val', (10, 11, 12), 0),
    ],
)
def test_an_image_that_two_splits_name_is_of_the_one_with_fewer(said, validate, twice, tmp_path):
    exports.yolo_ultralytics(tmp_path)
    (tmp_path / 'own.yaml').write_text(f'{said}\nnames: [plane, ship]\n')
    (tmp_path / 'val.txt').write_text(names('images/val', (10, 11)))
    (tmp_path / 'all.txt').write_text(names('images/train', (1, 2, 3)) + '\n' + names('images/val', (10, 11)))
    data = read(tmp_path)
    assert {sample.image.stem for sample in data.samples if sample.split == 'val'} == {f'im{n}' for n in validate}
    line = next((line for line in data.notes.lines() if 'names for two splits' in line), 'none: 0 ')
    assert int(line.split(': ')[1].split()[0]) >= twice and bool(twice) == line.startswith('images')


def test_which_of_several_descriptions_is_read_is_said(tmp_path):
    exports.yolo_ultralytics(tmp_path)
    (tmp_path / 'all.yaml').write_text('train: images\nnames: [plane, ship]\n')
    (tmp_path / 'hyp.yaml').write_text('lr: 0.1\n')
    data = read(tmp_path)
    assert 'all.yaml is read, and not own.yaml: name the file to read it' in data.notes.lines()
    assert not any('is read, and not' in line for line in read(tmp_path / 'own.yaml').notes.lines())
