"""Which files are the data: those of mmest are not, links are followed, and what has equal names stays apart."""

import json
from pathlib import Path

import exports
import numpy as np
import pytest
from PIL import Image

from mmest.datasets.own.detect import read
from mmest.datasets.own.prepare import prepare
from mmest.datasets.own.results import LOCK, TRAINING_LOCK, results_in, visible_files
from mmest.pictures.formats import ENDINGS, ENDINGS_OF, LOSSY

LEFT_OUT = 'results of mmest, left out (move what you corrected to another folder)'


def test_a_set_is_prepared_once_and_anew_when_a_file_changes(tmp_path):
    root = tmp_path / 'own'
    root.mkdir()
    exports.yolo_ultralytics(root)
    first = prepare(root, tmp_path / 'out')
    written = (tmp_path / 'out' / 'train.json').stat().st_mtime_ns
    assert prepare(root, tmp_path / 'out') == first
    assert (tmp_path / 'out' / 'train.json').stat().st_mtime_ns == written
    (root / 'labels' / 'train' / 'im1.txt').write_text('0 0.5 0.5 0.25 0.25\n')
    prepare(root, tmp_path / 'out')
    assert len(json.loads((tmp_path / 'out' / 'train.json').read_text())['annotations']) == 7


def test_a_set_is_prepared_anew_when_a_file_outside_of_its_folder_changes(tmp_path):
    """As where ultralytics' data.yaml says path: /somewhere/else."""
    exports.yolo_ultralytics(tmp_path / 'data')
    listed = tmp_path / 'lists' / 'data.yaml'
    listed.parent.mkdir()
    listed.write_text(f'path: {tmp_path}/data\ntrain: images/train\nval: images/val\nnames: [plane, ship]\n')
    first = prepare(listed, tmp_path / 'out')
    written = (tmp_path / 'out' / 'train.json').stat().st_mtime_ns
    assert prepare(listed, tmp_path / 'out') == first
    assert (tmp_path / 'out' / 'train.json').stat().st_mtime_ns == written
    (tmp_path / 'data' / 'labels' / 'train' / 'im1.txt').write_text('0 0.5 0.5 0.25 0.25\n')
    prepare(listed, tmp_path / 'out')
    assert len(json.loads((tmp_path / 'out' / 'train.json').read_text())['annotations']) == 7


@pytest.mark.parametrize('ending', ENDINGS)
def test_images_of_every_kind_that_is_read_are_data(tmp_path, ending):
    """With labels in each of the forms, and as masks where nothing is lost."""
    kind = next(kind for kind, endings in ENDINGS_OF.items() if ending in endings)
    lossless = kind if ending not in LOSSY and kind != 'WEBP' else 'PNG'
    for name in ('boxes/1', 'xml/1', 'coco/1', 'masks/images/1', 'masks/masks/1'):
        file, mask = tmp_path / f'{name}{ending.upper()}', name.startswith('masks/masks')
        file.parent.mkdir(parents=True)
        if mask and lossless == 'PNG':
            file = file.with_suffix('.png')
        Image.fromarray(np.full((48, 64), 0 if mask else 90, np.uint8)).save(file, lossless if mask else kind)
    (tmp_path / 'boxes/classes.txt').write_text('plane')
    (tmp_path / 'boxes/1.txt').write_text('0 0.5 0.5 0.25 0.25')
    (tmp_path / 'xml/1.xml').write_text(
        '<annotation><object><name>plane</name><bndbox><xmin>3</xmin><ymin>3</ymin><xmax>9</xmax><ymax>9</ymax>'
        '</bndbox></object></annotation>'
    )
    box = dict(id=1, image_id=1, category_id=1, bbox=[2, 2, 6, 6], area=36, iscrowd=0)
    image = dict(id=1, file_name=f'1{ending.upper()}', width=64, height=48)
    (tmp_path / 'coco/a.json').write_text(
        json.dumps(dict(images=[image], annotations=[box], categories=[dict(id=1, name='plane')]))
    )
    for name in ('boxes', 'xml', 'coco', 'masks'):
        data = read(tmp_path / name)
        assert [(one.image.name, one.width, len(one.objects)) for one in data.samples] == [
            (f'1{ending.upper()}', 64, name != 'masks')
        ]


def listed(folder, images) -> str:
    """A list of images as data.yaml may name it; returns its name."""
    file = folder / f'{len(list(folder.iterdir()))}.txt'
    file.write_text('\n'.join(map(str, images)))
    return file.name


@pytest.mark.parametrize(
    'paths',
    [
        lambda data, here: f'path: {data}\ntrain: images/train\nval: images/val',
        lambda data, here: 'path: ../data\ntrain: images/train\nval: images/val',
        lambda data, here: 'train: ../data/images/train\nval: ../data/images/val',
        lambda data, here: 'train: ../data/images/train\nval: inside/images/val',
        lambda data, here: f'train: {listed(here, (data / "images/train").iterdir())}\nval: ../data/images/val',
        lambda data, here: (
            f'train: {listed(here, [f"../data/images/train/im{i}.png" for i in (1, 2, 3)])}\nval: inside/images/val'
        ),
    ],
)
@pytest.mark.parametrize('size', [None, 64])
def test_images_outside_of_the_folder_of_data_yaml(paths, size, tmp_path, monkeypatch):
    """They are found where the prepared set says, whole or cut, and are in no other folder than theirs and its own."""
    here, data, out = tmp_path / 'lists', tmp_path / 'data', tmp_path / 'out'
    truth = exports.yolo_ultralytics(data)
    exports.yolo_ultralytics(here / 'inside')
    (here / 'planes.yaml').write_text(f'{paths(data, here)}\nnames: [plane, ship]\n')
    before = sorted(tmp_path.rglob('*'))
    monkeypatch.chdir(here)
    prepared = prepare('planes.yaml', out, size=size)
    for split, boxes in truth.items():
        shown = json.loads(prepared.labels(split).read_text())
        names = [image['file_name'] for image in shown['images']]
        assert names and all((prepared.images / name).is_file() and '..' not in name for name in names)
        if not size:
            assert sorted(name.rsplit('/', 1)[-1] for name in names) == sorted(boxes)
            assert len(shown['annotations']) == sum(map(len, boxes.values()))
    assert [path for path in sorted(tmp_path.rglob('*')) if not path.is_relative_to(out)] == before
    assert prepare(tmp_path / 'lists' / '..' / 'lists' / 'planes.yaml', tmp_path / 'again', size=size).counts


def test_a_folder_that_is_named_by_steps_up_is_the_same(tmp_path):
    exports.yolo_roboflow(tmp_path / 'own')
    (tmp_path / 'here').mkdir()
    prepared = prepare(tmp_path / 'here' / '..' / 'own', tmp_path / 'out')
    assert prepared.images == tmp_path / 'own'


def test_labels_beside_links_to_images_are_found(tmp_path):
    """As in stores of files by their content."""
    store, here = tmp_path / 'store', tmp_path / 'lists'
    exports.yolo_ultralytics(tmp_path / 'data')
    store.mkdir()
    here.mkdir()
    for image in (tmp_path / 'data' / 'images').rglob('*.png'):
        image.rename(store / f'{image.stem}0.png')
        image.symlink_to(store / f'{image.stem}0.png')
    train = listed(here, [f'../data/images/train/im{i}.png' for i in (1, 2, 3)])
    (here / 'data.yaml').write_text(f'train: {train}\nval: ../data/images/val\nnames: [plane, ship]\n')
    assert [len(sample.objects) for sample in read(here).samples] == [3] * 6


def test_results_of_mmest_in_the_folder_are_no_data(tmp_path):
    root = tmp_path / 'own'
    exports.yolo_roboflow(root)
    first = prepare(root, tmp_path / 'out')
    (root / 'classes.txt').write_text('plane\nship\n')
    (root / 'data.yaml').unlink()
    before = read(root)
    prepare(root, root / 'sets' / 'mine', copy=True)
    (root / 'sets' / 'half' / 'images').mkdir(parents=True)
    (root / 'sets' / 'half' / LOCK).touch()
    exports.images(root / 'sets' / 'half' / 'images', ['tile.png'])
    exports.images(root / 'work_dirs' / 'run', ['shown.png'])
    exports.images(root / 'runs', ['shown.png'])
    (root / 'runs' / 'last_checkpoint').touch()
    exports.images(root / 'killed' / 'annotations', ['shown.png'])
    (root / 'killed' / TRAINING_LOCK).touch()
    exports.images(root, ['own_look.png'])
    exports.images(root / 'predictions', ['im1_overlay.png'])
    (root / 'predictions' / 'all.json').write_text('{"images": [], "annotations": [], "categories": []}')
    after = read(root)
    assert [sample.name for sample in after.samples] == [sample.name for sample in before.samples]
    assert after.format == before.format == 'YOLO' and sum(first.counts.values()) == len(after.samples)
    left_out = ['killed', 'own_look.png', 'predictions', 'runs', 'sets/half', 'sets/mine', 'work_dirs']
    assert results_in(root) == left_out
    assert f'{LEFT_OUT}: 7 (killed, own_look.png, predictions, ...)' in after.notes.lines()
    assert not any('results of mmest' in line for line in before.notes.lines())


def test_links_are_followed_and_circles_are_not(tmp_path):
    exports.roboflow_coco(tmp_path / 'elsewhere')
    root = tmp_path / 'own'
    root.mkdir()
    for split in ('train', 'valid', 'test'):
        (root / split).symlink_to(tmp_path / 'elsewhere' / split)
    (tmp_path / 'elsewhere' / 'train' / 'back').symlink_to(tmp_path / 'elsewhere')
    (root / 'round').symlink_to(root)
    found = [path.relative_to(root).parts[0] for path in visible_files(root)]
    assert set(found) == {'train', 'valid', 'test'} and len(found) < 30
    (tmp_path / 'elsewhere' / 'train' / 'back').unlink()
    (root / 'train' / 'lost.jpg').symlink_to(tmp_path / 'nowhere.jpg')
    (root / 'old.txt').symlink_to(tmp_path / 'nowhere')
    assert prepare(root, tmp_path / 'out').counts == prepare(tmp_path / 'elsewhere', tmp_path / 'other').counts


@pytest.mark.parametrize('layout', [exports.index_masks, exports.yolo_outlines])
def test_tiles_and_masks_of_an_earlier_set_go_with_it(layout, tmp_path):
    """Those alone: a file that the user put beside them stays, and so do the images that a set links to."""
    (tmp_path / 'own').mkdir()
    layout(tmp_path / 'own')
    before, out = contents(tmp_path / 'own'), tmp_path / 'out'
    for task in ('segmentation', 'detection') if layout is exports.yolo_outlines else ('segmentation',):
        for size in (48, 64, None):
            made = prepare(tmp_path / 'own', out, task, size, copy=True)
            (out / 'images' / 'mine.txt').write_text('mine')
            fresh = prepare(tmp_path / 'own', tmp_path / f'{task}{size}', task, size, copy=True)
            assert made.counts == fresh.counts
            assert set(contents(out)) == {*contents(fresh.folder), Path('images/mine.txt')}
    assert contents(tmp_path / 'own') == before


def test_what_a_link_shows_again_is_there_once(tmp_path):
    """Ultralytics wants the images of VOCdevkit in a folder "images"."""
    exports.images(tmp_path / 'JPEGImages', ['1.png', '2.png'])
    (tmp_path / 'images').symlink_to('JPEGImages')
    (tmp_path / 'Annotations').mkdir()
    box = '<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>'
    for name in '12':
        text = f'<annotation><object><name>a</name>{box}</object></annotation>'
        (tmp_path / 'Annotations' / f'{name}.xml').write_text(text)
    assert [sample.name for sample in read(tmp_path).samples] == ['JPEGImages/1.png', 'JPEGImages/2.png']
    exports.images(tmp_path / 'masks', ['1.png', '2.png'])
    assert len(read(tmp_path).samples) == 2, 'masks of equal names are no second images'


@pytest.mark.parametrize(
    'folders', [('{}/images', '{}/annotations/xmls'), ('{}', '{}/xml'), ('JPEGImages/{}', 'Annotations/{}')]
)
def test_annotations_of_equal_names_stay_in_their_folders(tmp_path, folders):
    shown, written = folders
    for number, place in enumerate(('site_a', 'site_b'), start=1):
        exports.images(tmp_path / 'own' / shown.format(place), ['1.png'], first=number)
        file = tmp_path / 'own' / written.format(place) / '1.xml'
        file.parent.mkdir(parents=True, exist_ok=True)
        box = f'<bndbox><xmin>{number}</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>'
        file.write_text(f'<annotation><object><name>plane</name>{box}</object></annotation>')
    found = {sample.name: sample.objects[0].box[0] for sample in read(tmp_path / 'own').samples}
    first = 1 if shown.startswith('JPEG') else 0
    assert found == {f'{shown.format("site_a")}/1.png': 1 - first, f'{shown.format("site_b")}/1.png': 2 - first}
    (tmp_path / 'own' / '1.xml').write_text('<annotation><filename>1.png</filename></annotation>')
    with pytest.raises(ValueError, match='1.xml may annotate .*site_.*1.png or .*site_.*1.png'):
        read(tmp_path / 'own')


def test_two_annotations_of_one_image(tmp_path):
    exports.images(tmp_path / 'own', ['1.png'])
    for place in ('old', 'new'):
        (tmp_path / 'own' / place).mkdir()
        (tmp_path / 'own' / place / '1.xml').write_text('<annotation/>')
    with pytest.raises(ValueError, match='new/1.xml and .*old/1.xml both annotate .*1.png'):
        read(tmp_path / 'own')


@pytest.mark.parametrize('names', [('annotations', 'annotations_old'), ('instances_train', 'person_keypoints_train')])
def test_two_coco_files_of_the_same_objects(names, tmp_path):
    content = exports.coco(exports.images(tmp_path / 'images', ['1.png', '2.png']))
    for name in names:
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
        for one in content['annotations']:
            one['bbox'][0] += 1
    with pytest.raises(ValueError, match=f'{names[0]}.json and .*{names[1]}.json both label ".*" on images/1.png'):
        read(tmp_path)
    assert len(read(tmp_path / f'{names[0]}.json').samples[0].objects) == 3


def test_large_coco_files_are_parsed_to_find_them_and_to_read_them_and_not_again(tmp_path, monkeypatch):
    exports.cvat_coco(tmp_path)
    (tmp_path / 'other.json').write_text('{"images": 3}')
    parsed, parse = [], json.loads
    monkeypatch.setattr(json, 'loads', lambda text: parsed.append(text) or parse(text))
    assert len(read(tmp_path).samples) == 6
    large = [text for text in parsed if '"annotations"' in text]
    assert len(large) <= 2 * len(set(large)) == 4
    assert parsed.count('{"images": 3}') == 1


def test_a_coco_file_for_each_class(tmp_path):
    truth = exports.images(tmp_path / 'images', ['1.png', '2.png', '3.png'])
    for kind, name in enumerate(exports.CLASSES):
        content = exports.coco({image: [box for box in boxes if box[0] == kind] for image, boxes in truth.items()})
        (tmp_path / f'{name}s.json').write_text(json.dumps(content))
    data = read(tmp_path)
    assert [len(sample.objects) for sample in data.samples] == [3, 3, 3] and data.classes == list(exports.CLASSES)
    said = 'planes.json and ships.json label other classes on the same images: their objects are put together'
    assert said in data.notes.lines()


def test_tiles_of_images_that_differ_in_their_ending_do_not_meet(tmp_path):
    """Nor with a whole image that is called like a tile."""
    root = tmp_path / 'own'
    root.mkdir()
    (root / 'classes.txt').write_text('plane\n')
    for name, value, side in (('a.png', 10, 300), ('a.jpg', 200, 300), ('b.png', 90, 300), ('b_0_0.png', 50, 60)):
        Image.new('RGB', (side, side), (value, value, value)).save(root / name)
        (root / name).with_suffix('.txt').write_text('0 0.1 0.1 0.05 0.05\n0 0.9 0.9 0.05 0.05\n')
    prepared = prepare(root, tmp_path / 'out', size=128)
    shown = {}
    for split in ('train', 'val'):
        for one in json.loads((prepared.folder / f'{split}.json').read_text())['images']:
            assert one['file_name'] not in shown
            shown[one['file_name']] = np.asarray(Image.open(prepared.images / one['file_name'])).mean().round()
    assert {name: value for name, value in shown.items() if name.startswith('a')} == {
        name: 10 if name.startswith('a.png') else 200 for name in shown if name.startswith('a')
    }
    assert {value for name, value in shown.items() if name.startswith('b.png_')} == {90} and shown['b_0_0.png'] == 50


def contents(folder):
    """Bytes and time of each file below a folder."""
    files = (path for path in folder.rglob('*') if path.is_file())
    return {path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


@pytest.mark.parametrize('copy', [False, True])
@pytest.mark.parametrize(
    'source, out',
    [
        ('own', 'own'),
        ('own', 'own/../own'),
        ('own', 'link'),
        ('link', 'own'),
        ('own/train.json', 'own'),
        ('own', '.'),
        ('made/train.json', 'made'),
        ('made/images', 'made'),
    ],
)
def test_data_is_never_written_over(tmp_path, source, out, copy):
    """Whose files may be called as those of a prepared set are."""
    (tmp_path / 'own').mkdir()
    for name, images in (('train.json', ['1.png', '2.png']), ('val.json', ['3.png'])):
        (tmp_path / 'own' / name).write_text(json.dumps(exports.coco(exports.images(tmp_path / 'own', images))))
    (tmp_path / 'own' / 'test.txt').write_text('a list of mine')
    (tmp_path / 'link').symlink_to('own')
    prepare(tmp_path / 'own', tmp_path / 'made', copy=True)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match='would be written over it; choose a folder that is new or empty'):
        prepare(tmp_path / source, tmp_path / out, copy=copy)
    assert contents(tmp_path) == before


@pytest.mark.parametrize('name', ['train.txt', 'val.json', 'notes/a.md', 'images/1.png'])
def test_a_folder_with_other_files_is_not_written_to(tmp_path, name):
    exports.roboflow_coco(tmp_path / 'own')
    file = tmp_path / 'project' / name
    file.parent.mkdir(parents=True)
    file.write_text('mine')
    with pytest.raises(ValueError, match=rf'project holds files that are of no prepared set \({name.split("/")[0]}\)'):
        prepare(tmp_path / 'own', tmp_path / 'project', copy=True)
    assert list(contents(tmp_path / 'project')) == [file.relative_to(tmp_path / 'project')]
    assert file.read_text() == 'mine'
    with pytest.raises(ValueError, match=f'{file.name} is a file, and the prepared set is a folder; choose'):
        prepare(tmp_path / 'own', file)


def test_a_new_folder_an_empty_one_and_one_of_mmest_are_written_to(tmp_path):
    """One that a preparation left half-written too; hidden files are in nobody's way."""
    exports.roboflow_coco(tmp_path / 'own')
    for name in ('empty/.git/config', 'empty/.DS_Store', f'half/{LOCK}', 'half/train.json'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('')
    for name in ('new/deep', 'empty', 'half', 'own/inside'):
        for size in (None, 64):
            made = prepare(tmp_path / 'own', tmp_path / name, size=size, copy=True)
            assert len(json.loads((made.folder / 'train.json').read_text())['images']) == made.counts['train']
