"""What all preparations share: archives, damage by name, resuming, nothing half-written, summaries, help."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import official_trees as trees
import pytest

from mmest.datasets.preparation.command import main, prepare
from mmest.datasets.preparation.source import list_source

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = list(trees.ALL)
# Their tiles are known by name, and the generated trees hold two of them.
INCOMPLETE = ('potsdam', 'vaihingen')


def module(name: str) -> str:
    return f'mmest.datasets.official.{name}'


def contents(folder: Path) -> dict:
    """Bytes by path of all that a loader may read."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob('*')
        if path.is_file() and '.preparation' not in path.parts
    }


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    """Every data set, from an unpacked tree: (source, out) by name."""
    folders = {}
    for name, make in trees.ALL.items():
        source, out = tmp_path_factory.mktemp(name) / 'source', tmp_path_factory.mktemp(name) / 'out'
        make(source)
        assert prepare(module(name), source, out, 1) == (name not in INCOMPLETE)
        folders[name] = source, out
    return folders


@pytest.mark.parametrize('name', NAMES)
def test_archives_give_what_the_unpacked_tree_gives(prepared, name, tmp_path):
    source, out = prepared[name]
    copy = tmp_path / 'source'
    shutil.copytree(source, copy)
    for folder in [path for path in copy.iterdir() if path.is_dir()]:
        trees.zip_folder(folder, copy / f'{folder.name}.zip', inside=f'{folder.name}/')
    assert not [path for path in copy.rglob('*') if path.suffix in ('.png', '.jpg', '.tif')]
    assert prepare(module(name), copy, tmp_path / 'out', 1) == (name not in INCOMPLETE)
    assert contents(tmp_path / 'out') == contents(out)


def test_archives_in_an_archive(prepared, tmp_path):
    """Potsdam is published so."""
    source, out = prepared['potsdam']
    copy = tmp_path / 'Potsdam'
    shutil.copytree(source, copy)
    for folder in list(copy.iterdir()):
        trees.zip_folder(folder, copy / f'{folder.name}.zip')
    trees.zip_folder(copy, tmp_path / 'Potsdam.zip', inside='Potsdam/')
    prepare(module('potsdam'), tmp_path / 'Potsdam.zip', tmp_path / 'out', 2)
    assert contents(tmp_path / 'out') == contents(out)
    assert not (tmp_path / 'out/.preparation/archives').exists()


def test_summary_has_counts_and_those_of_the_publisher(prepared, capsys, tmp_path):
    source, _ = prepared['dior']
    prepare(module('dior'), source, tmp_path / 'out', 1)
    said = capsys.readouterr().out
    assert (
        'NOT THE WHOLE of DIOR' in said and 'train: 2 images instead of 5862' in said and 'No file was damaged' in said
    )
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    assert summary['counts']['test'] == dict(images=2, objects=6)
    assert summary['classes']['train']['airplane'] == 2


def test_equal_numbers_are_said(prepared, monkeypatch, capsys, tmp_path):
    from mmest.datasets.official import dior

    monkeypatch.setattr(dior, 'OFFICIAL', dict(train=dict(images=2), val=dict(images=1), test=dict(images=2)))
    prepare(module('dior'), prepared['dior'][0], tmp_path / 'out', 1)
    said = capsys.readouterr().out
    assert 'All numbers are those of the publisher of DIOR' in said and 'equal' in said


def test_a_second_run_does_nothing_again(prepared, monkeypatch, capsys):
    source, out = prepared['dota']
    before = contents(out)
    stamps = {path: path.stat().st_mtime_ns for path in out.glob('train/*.png')}
    assert prepare(module('dota'), source, out, 1)
    assert '3 of 3 images are done already' in capsys.readouterr().out
    assert contents(out) == before
    assert {path: path.stat().st_mtime_ns for path in out.glob('train/*.png')} == stamps


def test_an_interrupted_run_goes_on(prepared, monkeypatch, capsys, tmp_path):
    """Cut off after two pictures, with a torn last line, a lost output and a half-written file."""
    source, out = prepared['dior']
    copy = tmp_path / 'out'
    shutil.copytree(out, copy)
    journal = copy / '.preparation/journal.jsonl'
    lines = journal.read_text().splitlines()
    journal.write_text('\n'.join(lines[:4]) + '\n' + lines[4][:30])
    lost = json.loads(lines[1])['done']['outputs'][0]
    (copy / lost).unlink()
    shutil.rmtree(copy / 'annotations')
    assert prepare(module('dior'), source, copy, 1)
    assert '2 of 5 images are done already' in capsys.readouterr().out
    assert contents(copy) == contents(out)


def test_a_killed_run_goes_on(tmp_path):
    """Kill -9 of the whole command as soon as the first pictures are there."""
    source, out = tmp_path / 'source', tmp_path / 'out'
    trees.dior(source)
    (source / 'ImageSets/Main/train.txt').write_text('\n'.join(f'{n:05d}' for n in range(100, 400)))
    for number in range(100, 400):
        for folder, ending in (('JPEGImages-trainval', 'jpg'), ('Annotations/Horizontal Bounding Boxes', 'xml')):
            os.link(source / folder / f'00001.{ending}', source / folder / f'{number:05d}.{ending}')
    command = subprocess.Popen(
        [sys.executable, REPOSITORY / 'tools/datasets/dior.py', source, out, '--workers', '1'],
        stdout=subprocess.DEVNULL,
        env={**os.environ, 'PYTHONPATH': str(REPOSITORY)},
        start_new_session=True,
    )
    journal = out / '.preparation/journal.jsonl'
    while command.poll() is None and (not journal.is_file() or journal.read_text().count('\n') < 20):
        pass
    os.killpg(command.pid, 9)
    command.wait()
    assert not (out / 'annotations').exists()
    assert prepare(module('dior'), source, out, 1)
    assert len(json.loads((out / 'annotations/train.json').read_text())['images']) == 300
    assert not list(out.rglob('*.mmest-part*')) or all(path.stat().st_size for path in out.rglob('*.jpg'))


def test_a_replaced_picture_is_done_again(prepared, tmp_path):
    source, out = tmp_path / 'source', tmp_path / 'out'
    shutil.copytree(prepared['dota'][0], source)
    path = source / 'val/images/P0001.png'
    whole = path.read_bytes()
    trees.cut_off(path)
    assert not prepare(module('dota'), source, out, 1)
    assert not list(out.glob('val/*.png'))
    path.write_bytes(whole)
    assert prepare(module('dota'), source, out, 1)
    assert contents(out) == contents(prepared['dota'][1])


def damage_dior(root):
    trees.cut_off(root / 'JPEGImages-trainval/00001.jpg')
    trees.text(root / 'Annotations/Horizontal Bounding Boxes/00002.xml', '<annotation><size>')
    trees.text(root / 'Annotations/Horizontal Bounding Boxes/00003.xml', trees.voc('00003', 800, 800, []))
    (root / 'JPEGImages-test/11726.jpg').unlink()
    trees.text(
        root / 'Annotations/Horizontal Bounding Boxes/11727.xml',
        trees.voc(
            '11727',
            128,
            128,
            [('Airplane', 1, 1, 9, 9), ('boat', 1, 1, 9, 9), ('ship', 5, 5, 5, 9), ('dam', 'x', 1, 2, 3)],
        ),
    )
    return [
        '00001.jpg: is not a whole image',
        '00002.jpg: has a broken annotation',
        'has 128×128 pixels, but',
        '11726.jpg: is named in',
        'object 2 has the class "boat"',
        'object 3 (ship) has an empty box',
        'object 4 (dam) has no box',
    ]


def damage_dior_r(root):
    folder = root / 'Annotations/Oriented Bounding Boxes'
    trees.text(folder / '00001.xml', trees.oriented_voc('00001', 128, 128, [('boat', 1, 1, 9, 1, 9, 9, 1, 9)]))
    trees.text(folder / '00002.xml', trees.oriented_voc('00002', 128, 128, [('ship', 1, 1, 9, 1, 9, 9)]))
    (folder / '11726.xml').unlink()
    return ['object 1 has the class "boat"', 'object 1 (ship) has no box', '11726.xml: is missing']


def damage_dota(root):
    trees.cut_off(root / 'train/images/P0000.png')
    (root / 'test/images/P0002.png').write_bytes(b'not a picture')
    trees.text(
        root / 'val/labelTxt/P0001.txt',
        trees.DOTA_HEAD
        + trees.dota_lines(trees.DOTA_BOXES)
        + '1 2 3\r\n1 1 9 1 9 9 1 9 container-crane 0\r\n1 1 9 1 9 9 1 9 plane 2\r\n1 1 9 1 9 1 1 1 plane 0\r\n',
    )
    trees.text(root / 'val/labelTxt/P0009.txt', trees.DOTA_HEAD)
    trees.picture(root / 'val/images/P0010.png', 50, 50)
    return [
        'P0000.png: is not a whole image',
        'P0002.png: is not a whole image',
        'line 7 is not "x1 y1',
        'line 8 has the class "container-crane"',
        'line 9 is not',
        'line 10 (plane) has an empty box',
        'P0009.txt: has no picture P0009.png in val',
        'P0010.png: has no annotation P0010.txt in val',
    ]


def damage_potsdam(root):
    trees.cut_off(root / '2_Ortho_RGB/top_potsdam_2_10_RGB.tif')
    trees.colours(
        root / '5_Labels_all_noBoundary/top_potsdam_2_13_label_noBoundary.tif', 600, 700, [(9, 99, 199), (0, 0, 0)]
    )
    trees.picture(root / '2_Ortho_RGB/top_potsdam_9_9_RGB.tif', 50, 50)
    return [
        'top_potsdam_2_10_RGB.tif: is not a whole image',
        'have colours of no class, such as (9, 99, 199)',
        'top_potsdam_9_9_RGB.tif: is in no split',
        'tile 2_11: its picture is missing',
        'tile 2_11: its mask is missing',
    ]


def damage_vaihingen(root):
    labels = root / 'ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE'
    trees.colours(labels / 'top_mosaic_09cm_area1_noBoundary.tif', 500, 600, trees.ISPRS_COLOURS)
    (labels / 'top_mosaic_09cm_area2_noBoundary.tif').unlink()
    return ['has 600×530 pixels, but its mask', 'tile area2: its mask is missing']


def damage_loveda(root):
    trees.cut_off(root / 'Train/Rural/images_png/0.png')
    (root / 'Train/Urban/masks_png/1.png').unlink()
    trees.write(root / 'Val/Rural/masks_png/2.png', trees.np.full((96, 96, 3), 9, trees.np.uint8))
    (root / 'Val/Urban/images_png/3.png').unlink()
    shutil.copy(root / 'Test/Rural/images_png/4.png', root / 'Test/Urban/images_png/4.png')
    return [
        '0.png: is not a whole image',
        '1.png: has no mask',
        'has the mask',
        '3.png: has no picture',
        '4.png: has the name of',
    ]


def damage_isaid(root):
    trees.cut_off(root / 'train/Semantic_masks/P0005_instance_color_RGB.png')
    trees.colours(root / 'val/Semantic_masks/P0099_instance_color_RGB.png', 50, 50, trees.ISAID_COLOURS)
    return ['is not a whole image', 'val: P0099: its picture is missing']


@pytest.mark.parametrize('name, damage', [(name, globals()[f'damage_{name}']) for name in NAMES])
def test_damage_is_listed_by_file_and_the_rest_is_prepared(name, damage, tmp_path, capsys):
    source, out = tmp_path / 'source', tmp_path / 'out'
    trees.ALL[name](source)
    expected = damage(source)
    assert not prepare(module(name), source, out, 1)
    listed = (out / 'problems.txt').read_text()
    for words in expected:
        assert words in listed, listed
    assert 'PROBLEMS' in capsys.readouterr().out
    assert json.loads((out / 'summary.json').read_text())['problems'] == listed.splitlines()
    for path in out.rglob('*.png'):
        assert trees.cv2.imread(str(path)) is not None


def test_a_damaged_archive_is_listed(tmp_path):
    source = tmp_path / 'source'
    trees.loveda(source)
    trees.zip_folder(source / 'Test', source / 'Test.zip', inside='Test/')
    trees.cut_off(source / 'Test.zip')
    assert not prepare(module('loveda'), source, tmp_path / 'out', 1)
    assert 'Test.zip: is not a whole zip archive' in (tmp_path / 'out/problems.txt').read_text()


def test_a_damaged_file_in_an_archive_is_listed(tmp_path):
    source = tmp_path / 'source'
    trees.loveda(source)
    trees.zip_folder(source / 'Test', source / 'Test.zip', inside='Test/')
    archive = bytearray((source / 'Test.zip').read_bytes())
    archive[200:220] = bytes(20)
    (source / 'Test.zip').write_bytes(archive)
    assert not prepare(module('loveda'), source, tmp_path / 'out', 1)
    assert 'Test/Rural/images_png/4.png: cannot be read' in (tmp_path / 'out/problems.txt').read_text()


@pytest.mark.parametrize('name', NAMES)
def test_another_folder_gets_a_sentence_and_leaves_nothing(name, tmp_path):
    trees.text(tmp_path / 'source/holiday.txt', 'x')
    with pytest.raises(ValueError, match='found.*holds holiday.txt'):
        prepare(module(name), tmp_path / 'source', tmp_path / 'out', 1)
    assert not (tmp_path / 'out').exists()


def test_a_foreign_output_folder_is_left_alone(prepared, tmp_path):
    trees.text(tmp_path / 'out/precious.txt', 'x')
    with pytest.raises(FileExistsError, match='holds something else'):
        prepare(module('dior'), prepared['dior'][0], tmp_path / 'out', 1)
    assert [path.name for path in tmp_path.rglob('*')] == ['out', 'precious.txt']


def test_a_missing_source(tmp_path):
    with pytest.raises(FileNotFoundError, match='no folder or archive'):
        list_source(tmp_path / 'gone', tmp_path)


def test_a_worker_that_is_killed_gets_a_sentence(prepared, monkeypatch, tmp_path):
    def broken(*args):
        raise BrokenProcessPool

    monkeypatch.setattr('mmest.datasets.preparation.command.run_jobs', broken)
    with pytest.raises(SystemExit, match='want of memory.*smaller --workers'):
        main('dior', [str(prepared['dior'][0]), str(tmp_path / 'out')])


@pytest.mark.parametrize('name', NAMES)
def test_exit_status_and_help(name, prepared, monkeypatch, capsys):
    import runpy

    tool = str(REPOSITORY / 'tools/datasets' / f'{name}.py')
    monkeypatch.setattr(sys, 'argv', [tool, '--help'])
    with pytest.raises(SystemExit):
        runpy.run_path(tool, run_name='__main__')
    said = capsys.readouterr().out
    assert 'SOURCE, as published' in said and 'Example:' in said and 'goes on where it stopped' in said
    source, out = prepared[name]
    monkeypatch.setattr(sys, 'argv', [tool, str(source), str(out), '--workers', '1'])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(tool, run_name='__main__')
    assert end.value.code == int(name in INCOMPLETE)
