"""Several files of one name in a download: those of the publisher's folders are taken, and doubt is said."""

import json
import shutil

import official_trees as trees
import pytest

from mmest.datasets.preparation.command import prepare
from mmest.datasets.preparation.registry import module_of

VAIHINGEN = 'ISPRS_semantic_labeling_Vaihingen'


def run(name, source, out) -> str:
    """The problems, after a preparation."""
    prepare(module_of(name), source, out, 1)
    path = out / 'problems.txt'
    return path.read_text() if path.is_file() else ''


def patches(out) -> dict:
    return {path.name: path.read_bytes() for path in (out / 'img_dir').rglob('*.png')}


@pytest.mark.parametrize(
    'folder', [f'{VAIHINGEN}/gts_for_participants', f'{VAIHINGEN}_ground_truth_COMPLETE', 'a', 'z']
)
@pytest.mark.parametrize('zipped', [False, True])
def test_labels_of_vaihingen_that_have_the_names_of_pictures(tmp_path, folder, zipped):
    trees.vaihingen(tmp_path / 'source')
    run('vaihingen', tmp_path / 'source', tmp_path / 'right')
    labels = tmp_path / 'source' / folder
    for area in ('area1', 'area2'):
        trees.colours(labels / f'top_mosaic_09cm_{area}.tif', 530, 600, trees.ISPRS_COLOURS[1:])
    if zipped:
        trees.zip_folder(labels, labels.with_name(f'{labels.name}.zip'))
    run('vaihingen', tmp_path / 'source', tmp_path / 'out')
    assert patches(tmp_path / 'out') == patches(tmp_path / 'right')
    (tmp_path / 'source' / VAIHINGEN / 'top/top_mosaic_09cm_area2.tif').unlink()
    assert 'tile area2: its picture is missing' in run('vaihingen', tmp_path / 'source', tmp_path / 'out')
    assert {name[:5] for name in patches(tmp_path / 'out')} == {'area1'}
    shutil.rmtree(tmp_path / 'source' / VAIHINGEN / 'top')
    with pytest.raises(ValueError, match='No tile with its label'):
        run('vaihingen', tmp_path / 'source', tmp_path / 'new')


def test_tiles_of_potsdam_beside_other_files_of_their_names(tmp_path):
    source = tmp_path / 'source'
    trees.potsdam(source)
    right = run('potsdam', source, tmp_path / 'right')
    # The labels for participants are copies; quick looks lie in a folder of the user's.
    shutil.copytree(source / '5_Labels_all_noBoundary', source / '5_Labels_for_participants_no_Boundary')
    trees.picture(source / 'vis/top_potsdam_2_10_RGB.tif', 60, 70)
    assert run('potsdam', source, tmp_path / 'out') == right
    assert patches(tmp_path / 'out') == patches(tmp_path / 'right')
    (source / '2_Ortho_RGB').rename(source / 'mine')
    problems = run('potsdam', source, tmp_path / 'out')
    assert (
        'mine/top_potsdam_2_10_RGB.tif: differs from ' in problems and 'vis/top_potsdam_2_10_RGB.tif, and' in problems
    )
    assert 'tile 2_10' not in problems and {name[:4] for name in patches(tmp_path / 'out')} == {'2_13'}


def boxes(out, split='train') -> dict:
    """What the first image of a split holds."""
    content = json.loads((out / f'annotations/{split}.json').read_text())
    [first] = [image['id'] for image in content['images'] if image['file_name'] in ('00001.jpg', '11726.jpg')]
    return [one['bbox'] for one in content['annotations'] if one['image_id'] == first]


def counts(out) -> dict:
    return json.loads((out / 'summary.json').read_text())['counts']


@pytest.fixture
def dior(tmp_path):
    return trees.dior(tmp_path / 'source')


@pytest.mark.parametrize('name', ['dior', 'dior_r'])
@pytest.mark.parametrize('stray', ['JPEGImages-trainval/00001.jpg.aux.xml', 'style.xml', 'a/00009.xml', 'z/notes.xml'])
def test_xml_of_other_tools_is_no_annotation(dior, tmp_path, name, stray):
    others = dict(dior='Oriented', dior_r='Horizontal')[name]
    shutil.rmtree(dior / f'Annotations/{others} Bounding Boxes')
    trees.text(dior / stray, '<PAMDataset><bndbox/></PAMDataset>')
    assert run(name, dior, tmp_path / 'out') == ''
    assert len(boxes(tmp_path / 'out')) == len(trees.DIOR_CORNERS if name == 'dior_r' else trees.DIOR_BOXES)


def test_rectangles_are_put_around_oriented_boxes_where_an_image_has_no_others(dior, tmp_path):
    (dior / 'Annotations/Horizontal Bounding Boxes/00002.xml').unlink()
    (dior / 'Annotations/Horizontal Bounding Boxes/11727.xml').unlink()
    assert run('dior', dior, tmp_path / 'out') == ''
    assert counts(tmp_path / 'out') == dict(
        train={'images': 2, 'objects': 5, 'images with oriented boxes': 1},
        val=dict(images=1, objects=3),
        test={'images': 2, 'objects': 5, 'images with oriented boxes': 1},
    )
    (dior / 'Annotations/Oriented Bounding Boxes/00003.xml').unlink()
    problems = run('dior_r', dior, tmp_path / 'out_r')
    assert problems == '00003.xml: is missing with oriented boxes; the image is left out\n'


@pytest.mark.parametrize('names', [('HBB', 'OBB'), ('z', 'a'), ('labels of DIOR-oriented', 'x')])
def test_boxes_say_which_annotation_is_oriented(dior, tmp_path, names):
    for kind, name in zip(('Horizontal', 'Oriented'), names):
        (dior / f'Annotations/{kind} Bounding Boxes').rename(dior / name)
    path = dior / names[1] / '00001.xml'
    path.write_bytes(path.read_text().encode('utf-16'))
    for name, objects in (('dior', trees.DIOR_BOXES), ('dior_r', trees.DIOR_CORNERS)):
        assert run(name, dior, tmp_path / name) == ''
        assert {split: found['objects'] for split, found in counts(tmp_path / name).items()} == {
            split: number * len(objects) for split, number in dict(train=2, val=1, test=2).items()
        }


@pytest.mark.parametrize('name', ['dior', 'dior_r'])
@pytest.mark.parametrize('folder', ['a', 'vis', 'JPEG', 'A B/c'])
def test_the_files_in_the_folders_of_dior_are_taken(dior, tmp_path, name, folder):
    assert run(name, dior, tmp_path / 'right') == ''
    kind = dict(dior='Horizontal', dior_r='Oriented')[name]
    trees.picture(dior / folder / '00001.jpg', 64, 64)
    path = dior / f'Annotations/{kind} Bounding Boxes/00001.xml'
    trees.text(dior / folder / '00001.xml', path.read_text().replace('ship', 'dam'))
    trees.text(dior / folder / 'train.txt', '00003\n')
    trees.text(dior / 'train.txt', '00002\n')
    assert run(name, dior, tmp_path / 'out') == ''
    for file in ('images/00001.jpg', 'annotations/train.json'):
        assert (tmp_path / 'out' / file).read_bytes() == (tmp_path / 'right' / file).read_bytes()


def test_files_of_dior_that_lie_equally_well(dior, tmp_path):
    shutil.copytree(dior, dior / 'copy')
    assert run('dior', dior, tmp_path / 'out') == ''
    trees.picture(dior / 'copy/JPEGImages-trainval/00001.jpg', 128, 128, 9)
    path = dior / 'copy/Annotations/Horizontal Bounding Boxes/00003.xml'
    path.write_text(path.read_text().replace('ship', 'dams'))
    (dior / 'copy/ImageSets/Main/test.txt').write_text('11726\n')
    said = run('dior', dior, tmp_path / 'out').splitlines()
    assert len(said) == 3 and all('nothing says which is meant' in line for line in said), said
    assert {split: found.get('images', 0) for split, found in counts(tmp_path / 'out').items()} == dict(
        train=1, val=0, test=0
    )


def test_names_that_are_in_lists_twice(dior, tmp_path):
    lists = dior / 'ImageSets/Main'
    (lists / 'train.txt').write_text('00001\n00002\n00001\n00003\n11727\n11727')
    assert run('dior', dior, tmp_path / 'out') == (
        'train.txt: names 2 images of another list too, such as 00003 of val.txt; left out here\n'
    )
    named = {
        split: [
            image['file_name'][:5]
            for image in json.loads((tmp_path / f'out/annotations/{split}.json').read_text())['images']
        ]
        for split in ('train', 'val', 'trainval', 'test')
    }
    assert named == dict(
        train=['00001', '00002'], val=['00003'], trainval=['00001', '00002', '00003'], test=['11726', '11727']
    )


@pytest.mark.parametrize(
    'name, file, other',
    [
        ('dota', 'train/images/P0000.png', 'train/vis/P0000.png'),
        ('dota', 'train/labelTxt/P0000.txt', 'train/predicted/P0000.txt'),
        ('dota', 'test/images/P0002.png', 'a/test/P0002.png'),
        ('isaid', 'val/images/P0003.png', 'val/vis/P0003.png'),
        ('isaid', 'val/Semantic_masks/P0003_instance_color_RGB.png', 'val/mine/P0003_instance_color_RGB.png'),
        ('loveda', 'Val/Rural/images_png/2.png', 'b/Val/Rural/images_png/2.png'),
        ('loveda', 'Val/Rural/masks_png/2.png', 'b/Val/Rural/masks_png/2.png'),
    ],
)
def test_other_data_sets_tell_files_of_one_name_apart(tmp_path, name, file, other):
    source = tmp_path / 'source'
    trees.ALL[name](source)
    (source / other).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / file, source / other)
    assert run(name, source, tmp_path / 'right') == ''
    (source / other).write_bytes(b'another')
    said = run(name, source, tmp_path / 'out')
    if name != 'loveda':  # whose folders are the publisher's by their names
        assert said == ''
        assert counts(tmp_path / 'out') == counts(tmp_path / 'right')
        (source / file).parent.rename((source / file).parent.with_name('renamed'))
        said = run(name, source, tmp_path / 'doubt')
    assert said.count('\n') == said.count('nothing says which is meant') == 1, said
