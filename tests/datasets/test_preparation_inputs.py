"""Downloads as they are found: odd archives, lists and labels of other tools, endings, and what an earlier run left."""

import io
import json
import math
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import official_trees as trees
import pytest
from PIL import Image

from mmest.cli import main as mmest
from mmest.datasets.preparation.command import prepare
from mmest.datasets.preparation.registry import module_of, official_names
from mmest.datasets.preparation.source import list_source


def run(name, source, out) -> str:
    """The problems, after a preparation."""
    prepare(module_of(name), source, out, 1)
    path = out / 'problems.txt'
    return path.read_text() if path.is_file() else ''


def test_names_that_are_no_utf_8(tmp_path, capsys):
    """As in archives of old tools: damaged, used, of no split, and in an archive's name."""
    source = loveda(tmp_path / 'source', [1, 3, 5])
    for number, name in ((3, b'caf\xe9.png'), (5, b'\xff.png')):
        for kind in ('images_png', 'masks_png'):
            path = source / f'Train/Urban/{kind}/{number}.png'
            path.rename(path.with_name(os.fsdecode(name)))
    (source / 'Train/Urban/images_png' / os.fsdecode(b'\xff.png')).write_bytes(b'x')
    (source / os.fsdecode(b'\xe9t\xe9.png')).write_bytes(b'x')
    (source / os.fsdecode(b'\xe9.zip')).write_bytes(b'x')
    capsys.readouterr()
    for _ in range(2):
        with pytest.raises(SystemExit, match='1'):
            mmest(['data', 'prepare', 'loveda', str(source), str(tmp_path / 'out'), '--workers', '1'])
        said, listed = capsys.readouterr().out, (tmp_path / 'out/problems.txt').read_text()
        for words in (r'images_png/\udcff.png: is not a whole image', r'/\udce9.zip: is not a whole zip'):
            assert words in said and words in listed
        assert r'/\udce9t\udce9.png' in said
    assert images(tmp_path / 'out') == ['1.png', os.fsdecode(b'caf\xe9.png')]


def loveda(folder, numbers, split='Train'):
    for number in numbers:
        for kind, value in (('images_png', number), ('masks_png', 1)):
            path = folder / split / 'Urban' / kind / f'{number}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((16, 16), value, np.uint8)).save(path)
    return folder


def images(out) -> list[str]:
    return sorted(path.name for path in (out / 'img_dir/train').glob('*.png'))


def test_what_is_gone_from_the_source_goes_from_the_output(tmp_path, capsys):
    source, out = loveda(tmp_path / 'source', [1, 3, 5]), tmp_path / 'out'
    loveda(source, [2], 'Val')
    assert run('loveda', source, out) == '' and images(out) == ['1.png', '3.png', '5.png']
    (source / 'Train/Urban/images_png/3.png').write_bytes(b'x')
    assert '3.png: is not a whole image' in run('loveda', source, out)
    assert images(out) == ['1.png', '5.png'] and 'Removed what an earlier run made' in capsys.readouterr().out
    for kind in ('images_png', 'masks_png'):
        (source / f'Train/Urban/{kind}/3.png').unlink()
        (source / f'Train/Urban/{kind}/5.png').unlink()
    assert run('loveda', source, out) == '' and images(out) == ['1.png']
    assert sorted(path.name for path in (out / 'ann_dir/train').iterdir()) == ['1.png']


def test_another_source_does_not_mix_with_the_first(tmp_path):
    out = tmp_path / 'out'
    run('loveda', loveda(tmp_path / 'A', [1]), out)
    with pytest.raises(FileExistsError, match='holds LoveDA as it was prepared from .*/A. Choose another folder'):
        prepare(module_of('loveda'), loveda(tmp_path / 'B', [5]), out, 1)
    trees.dota(tmp_path / 'C')
    with pytest.raises(FileExistsError, match='holds LoveDA'):
        prepare(module_of('dota'), tmp_path / 'C', out, 1)
    assert images(out) == ['1.png']


def test_a_raised_version_does_all_anew(tmp_path, monkeypatch):
    from mmest.datasets.official import loveda as module

    source, out = loveda(tmp_path / 'source', [1]), tmp_path / 'out'
    run('loveda', source, out)
    before = (out / 'img_dir/train/1.png').stat().st_mtime_ns
    monkeypatch.setattr(module, 'VERSION', 99)
    run('loveda', source, out)
    assert (out / 'img_dir/train/1.png').stat().st_mtime_ns > before


def test_foreign_files_among_the_outputs_are_named(tmp_path):
    source, out = loveda(tmp_path / 'source', [1]), tmp_path / 'out'
    run('loveda', source, out)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(out / 'img_dir/train/mine.png')
    assert 'mine.png: belongs to no image of this preparation' in run('loveda', source, out)
    assert (out / 'img_dir/train/mine.png').is_file()


def test_images_that_are_passed_over_are_named(tmp_path, capsys):
    source = tmp_path / 'source'
    trees.dota(source)
    (source / 'train/images/P0000.png').rename(source / 'train/images/P0000_1.png')
    run('dota', source, tmp_path / 'out')
    said = ' '.join(capsys.readouterr().out.split())
    assert 'Images of the source that are in no split of DOTA v1.0: 1,' in said and 'P0000_1.png' in said
    assert [path[-11:] for path in json.loads((tmp_path / 'out/summary.json').read_text())['passed_over']] == [
        'P0000_1.png'
    ]


def zipped(path, contents: dict[str, bytes], method=zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w', method) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    if path:
        path.write_bytes(stream.getvalue())
    return stream.getvalue()


def altered(raw: bytes, offset_local: int, offset_central: int, value: int) -> bytes:
    """Set a 16-bit field of every entry, in both of its headers."""
    changed = bytearray(raw)
    for mark, offset in ((b'PK\x03\x04', offset_local), (b'PK\x01\x02', offset_central)):
        place = changed.find(mark)
        while place >= 0:
            changed[place + offset : place + offset + 2] = struct.pack('<H', value)
            place = changed.find(mark, place + 4)
    return bytes(changed)


@pytest.mark.parametrize(
    'fields, sentence',
    [
        ((6, 8, 1), 'Train.zip: is encrypted; unpack it first'),
        ((8, 10, 9), 'Train.zip: is compressed by a method that Python does not read .Deflate64, as Windows'),
        ((8, 10, 98), 'does not read .number 98.'),
    ],
)
def test_archives_that_cannot_be_read_here(tmp_path, fields, sentence):
    source = tmp_path / 'source'
    source.mkdir()
    (source / 'Train.zip').write_bytes(altered(zipped(None, {'Train/a.txt': b'x'}), *fields))
    with pytest.raises(ValueError, match=sentence):
        prepare(module_of('loveda'), source, tmp_path / 'out', 1)
    loveda(source, [1], 'Val')
    assert 'Train.zip: is ' in run('loveda', source, tmp_path / 'out')
    assert not (tmp_path / 'out/.preparation/archives').exists()


def test_archives_without_end(tmp_path):
    raw = zipped(None, {'a.png': b'x'})
    for _ in range(6):
        raw = zipped(tmp_path / 'deep.zip', {'inner.zip': raw})
    files, problems = list_source(tmp_path / 'deep.zip', tmp_path / 'scratch')
    assert files == [] and 'inner.zip: lies in archives 4 deep; unpack them first' in str(problems[0])


def test_archives_that_unpack_to_more_than_they_can_hold(tmp_path):
    bomb = zipped(None, {'inner.zip': bytes(200 << 20)})
    (tmp_path / 'bomb.zip').write_bytes(bomb)
    files, problems = list_source(tmp_path / 'bomb.zip', tmp_path / 'scratch')
    assert files == [] and 'no archive is packed so' in str(problems[0])
    assert not list((tmp_path / 'scratch').glob('*')) if (tmp_path / 'scratch').exists() else True


def test_a_file_of_terabytes_is_not_unpacked(tmp_path):
    from mmest.datasets.preparation.problems import DamagedInput

    zipped(tmp_path / 'a.zip', {'a.png': b'x'})
    (file,), _ = list_source(tmp_path / 'a.zip', tmp_path)
    object.__setattr__(file, 'size', 1 << 40)
    with pytest.raises(DamagedInput, match='1,099,511,627,776 bytes unpacked, more than'):
        file.read()


def test_archives_with_the_separator_of_windows(tmp_path):
    source = loveda(tmp_path / 'source', [1])
    loveda(source, [2], 'Val')
    contents = {str(path.relative_to(source)).replace('/', '\\'): path.read_bytes() for path in source.rglob('*.png')}
    zipped(tmp_path / 'LoveDA.zip', contents)
    assert run('loveda', tmp_path / 'LoveDA.zip', tmp_path / 'out') == '' and images(tmp_path / 'out') == ['1.png']


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_lists_and_labels_of_other_tools(tmp_path, encoding):
    trees.dior(tmp_path / 'dior')
    path = tmp_path / 'dior/ImageSets/Main/train.txt'
    path.write_bytes('00001\r\n00002\r\n'.encode(encoding))
    assert run('dior', tmp_path / 'dior', tmp_path / 'dior_out') == ''
    assert len(json.loads((tmp_path / 'dior_out/annotations/train.json').read_text())['images']) == 2
    trees.dota(tmp_path / 'dota')
    for split, key in (('train', 'P0000'), ('val', 'P0001')):
        path = tmp_path / f'dota/{split}/labelTxt/{key}.txt'
        text = trees.dota_lines(trees.DOTA_BOXES) if split == 'train' else path.read_text()
        path.write_bytes(text.encode(encoding))
    assert run('dota', tmp_path / 'dota', tmp_path / 'dota_out') == ''
    for split in ('train', 'val'):
        content = json.loads((tmp_path / f'dota_out/annotations/{split}_images.json').read_text())
        assert len(content['annotations']) == len(trees.DOTA_BOXES)


def test_lists_with_other_words(tmp_path):
    trees.dior(tmp_path / 'source')
    (tmp_path / 'source/ImageSets/Main/train.txt').write_text('00001.jpg 1\n00002\n')
    listed = run('dior', tmp_path / 'source', tmp_path / 'out')
    assert 'train.txt: 1 of 2 lines are not the name of an image without ending, such as "00001.jpg 1"' in listed
    (tmp_path / 'source/ImageSets/Main/train.txt').write_bytes(b'\xe9\xe8\xe7\n')
    assert 'train.txt: this list is no text in UTF-8 or UTF-16' in run('dior', tmp_path / 'source', tmp_path / 'out')


def test_objects_of_dota_that_nobody_can_find(tmp_path):
    trees.dota(tmp_path / 'source')
    lines = [
        '-40 -30 20 -30 20 30 -40 30 plane 0',
        '2000 2000 2100 2000 2100 2100 2000 2100 ship 0',
        'nan 10 50 10 50 50 10 50 ship 0',
        '10 inf 50 10 50 50 10 50 ship 0',
    ]
    (tmp_path / 'source/train/labelTxt/P0000.txt').write_text('\n'.join(lines))
    listed = run('dota', tmp_path / 'source', tmp_path / 'out')
    assert 'line 2 (ship) lies outside of the image' in listed
    assert 'line 3 is not "x1 y1' in listed and 'line 4 is not "x1 y1' in listed
    for kind in ('images', 'patches'):
        text = (tmp_path / f'out/annotations/train_{kind}.json').read_text()
        content = json.loads(text, parse_constant=lambda name: pytest.fail(name))
        assert {one['category_id'] for one in content['annotations']} == {1}


def test_images_of_one_name_in_two_splits(tmp_path):
    for split in ('train', 'val'):
        trees.picture(tmp_path / f'source/{split}/images/P0001.png', 64, 64)
    trees.text(tmp_path / 'source/train/labelTxt/P0001.txt', '1 1 20 1 20 20 1 20 plane 0\n')
    trees.text(tmp_path / 'source/val/labelTxt/P0001.txt', '1 1 20 1 20 20 1 20 ship 0\n5 5 9 9\n')
    for _ in range(2):
        assert run('dota', tmp_path / 'source', tmp_path / 'out').count('P0001') == 1
        found = [
            json.loads((tmp_path / f'out/annotations/{split}_images.json').read_text())['annotations'][0]['category_id']
            for split in ('train', 'val')
        ]
        assert found == [1, 7]


def test_corners_of_dior_that_are_no_numbers(tmp_path):
    trees.dior(tmp_path / 'source')
    path = tmp_path / 'source/Annotations/Oriented Bounding Boxes/00001.xml'
    path.write_text(trees.oriented_voc('00001', 128, 128, [('ship', 1, 1, math.nan, 1, 9, 9, 1, 9)]))
    assert '00001.xml: object 1 (ship) has no box' in run('dior_r', tmp_path / 'source', tmp_path / 'out')


@pytest.mark.parametrize('name', [name for name in official_names() if name in trees.ALL])
def test_endings_and_folders_in_other_letters(name, tmp_path):
    source, other = tmp_path / 'source', tmp_path / 'other'
    trees.ALL[name](source)
    for path in source.rglob('*.*'):
        if path.is_file():
            inside = path.relative_to(source).with_suffix(path.suffix.upper())
            if name in ('loveda', 'dota', 'isaid'):
                inside = Path(inside.parts[0].swapcase(), *inside.parts[1:])
            target = other / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    for folder, out in ((source, 'a'), (other, 'b')):
        prepare(module_of(name), folder, tmp_path / out, 1)
    first, second = (
        {path.relative_to(tmp_path / out).as_posix() for path in (tmp_path / out).rglob('*.*') if path.is_file()}
        for out in 'ab'
    )
    assert first == second


@pytest.mark.parametrize('name', [name for name in official_names() if name in trees.ALL])
def test_outputs_below_the_source_are_no_source(name, tmp_path, capsys):
    """Of this data set and of another, from archives in archives too."""
    source = tmp_path / 'source'
    trees.ALL[name](source)
    for folder in list(source.iterdir()):
        if name in ('potsdam', 'vaihingen'):
            trees.zip_folder(folder, source / f'{folder.name}.zip')
            zipped(
                source / f'all_{folder.name}.zip', {f'{folder.name}.zip': (source / f'{folder.name}.zip').read_bytes()}
            )
            (source / f'{folder.name}.zip').unlink()
    whole = run(name, source, tmp_path / 'beside')
    right = {path.relative_to(tmp_path / 'beside') for path in (tmp_path / 'beside').rglob('*')}
    for out in ('prepared', 'a/prepared', 'prepared', 'a/prepared'):
        capsys.readouterr()
        assert run(name, source, source / out) == whole
        assert {path.relative_to(source / out) for path in (source / out).rglob('*')} == right
    assert 'Removed' not in capsys.readouterr().out
    assert not [file for file in list_source(source, tmp_path / 'scratch')[0] if 'prepared' in file.name]


def test_links_to_folders_elsewhere_are_followed(tmp_path):
    """The pictures of iSAID are those of DOTA."""
    trees.isaid(tmp_path / 'isaid')
    for split in ('train', 'val'):
        pictures = tmp_path / 'dota' / split / 'pictures'
        pictures.parent.mkdir(parents=True)
        (tmp_path / 'isaid' / split / 'images').rename(pictures)
        (tmp_path / 'isaid' / split / 'images').symlink_to(pictures)
    (tmp_path / 'isaid/train/images/again').symlink_to(tmp_path / 'isaid')
    (tmp_path / 'isaid/nowhere').symlink_to(tmp_path / 'gone')
    assert run('isaid', tmp_path / 'isaid', tmp_path / 'out') == ''
    assert json.loads((tmp_path / 'out/summary.json').read_text())['counts']['val']['images'] == 1
    names = [file.name for file in list_source(tmp_path / 'isaid', tmp_path / 'scratch')[0]]
    assert len(names) == len({*names}) == 4 and 'val/images/P0003.png' in names
