"""What a look at data says, and its page of images."""

import json
import shlex
import shutil
from pathlib import Path

import exports
import numpy as np
import official_trees
import pytest
from PIL import Image

from mmest.cli import main
from mmest.datasets.own.detect import read
from mmest.datasets.own.look import look
from mmest.datasets.preparation.command import prepare
from mmest.datasets.preparation.registry import module_of


def test_counts_and_sizes_are_those_that_were_drawn(tmp_path):
    truth = exports.roboflow_coco(tmp_path / 'own')
    facts = look(read(tmp_path / 'own'))
    drawn = [box for images in truth.values() for boxes in images.values() for box in boxes]
    assert dict(facts.images) == dict(train=3, val=3, test=3)
    for label in range(2):
        expected = {
            split: sum(box[0] == label for boxes in images.values() for box in boxes) for split, images in truth.items()
        }
        found = facts.objects[label]
        assert (found['train'], found['val'], found['test']) == (expected['train'], expected['valid'], expected['test'])
    sides = sorted(((x1 - x0) * (y1 - y0)) ** 0.5 for _, x0, y0, x1, y1 in drawn)
    np.testing.assert_allclose(sorted(facts.sizes), sides)
    assert facts.empty == 1
    assert any('1 of 9 images have nothing labelled' in warning for warning in facts.warnings)


def test_the_page_is_written_over_no_file_of_the_data(tmp_path, monkeypatch):
    root = tmp_path / 'own'
    exports.cvat_coco(root)
    before = {path: path.read_bytes() for path in root.rglob('*') if path.is_file()}
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'link.png').symlink_to(root / 'images/train/1.png')
    for out in (*before, 'link.png'):
        with pytest.raises(SystemExit, match='is a file of the data, and would be written over; name another one'):
            main(['data', 'look', 'own', '--out', str(out)])
    with pytest.raises(SystemExit, match='own is a folder; name the file to write by --out'):
        main(['data', 'look', 'own', '--out', 'own'])
    for _ in range(2):  # an earlier page is
        main(['data', 'look', 'own', '--out', 'own/own_look.png'])
        main(['data', 'look', 'own', '--out', 'page.png'])
    assert {path: path.read_bytes() for path in before} == before


def test_masks_are_counted_in_pixels(tmp_path):
    truth = exports.index_masks(tmp_path)
    facts = look(read(tmp_path))
    masks = list(truth['train'].values())
    for label in range(3):
        assert facts.objects[label]['train'] == sum(int((mask == label).sum()) for mask in masks)


def test_an_image_in_two_splits_is_said(tmp_path):
    exports.yolo_ultralytics(tmp_path)
    shutil.copy(tmp_path / 'images/train/im1.png', tmp_path / 'images/val/again.png')
    warnings = look(read(tmp_path)).warnings
    assert any(
        '1 image is in two splits, such as images/train/im1.png = images/val/again.png' in one for one in warnings
    )


def test_rare_and_tiny_objects_are_said(tmp_path):
    exports.images(tmp_path, ['a.png'])
    boxes = [(0, 5 * i, 2, 5 * i + 4, 6) for i in range(15)] * 10 + [(1, 80, 20, 84, 24)]
    (tmp_path / 'labels.json').write_text(json.dumps(exports.coco({'a.png': boxes})))
    warnings = ' '.join(look(read(tmp_path)).warnings)
    assert '"plane" has 150 times as many objects as "ship"' in warnings
    assert 'half of the objects are smaller than 4 pixels' in warnings
    assert 'fewer than 20 objects of ship' in warnings


@pytest.mark.parametrize('export', [exports.cvat_coco, exports.palette_masks])
def test_the_command_writes_a_page(export, tmp_path, capsys):
    export(tmp_path / 'own')
    main(['data', 'look', str(tmp_path / 'own'), '--out', str(tmp_path / 'page.png')])
    said = capsys.readouterr().out
    assert f'Wrote {tmp_path / "page.png"} with 6 of 6 images' in said
    assert 'train' in said and 'val' in said
    page = np.asarray(Image.open(tmp_path / 'page.png'))
    assert page.shape[1] > 1600
    if export is exports.palette_masks:  # the colours of the masks are those of the legend
        assert all((page == colour).all(-1).any() for colour in exports.COLOURS)


def test_the_command_makes_a_set_that_stands_alone(tmp_path, capsys):
    exports.voc_flat(tmp_path / 'own')
    main(['data', 'make', str(tmp_path / 'own'), str(tmp_path / 'made')])
    said = capsys.readouterr().out
    assert 'Pascal VOC as detection, 2 classes: 3 train, 3 val' in said
    assert len(list((tmp_path / 'made' / 'images').rglob('*.png'))) == 6


@pytest.mark.parametrize(
    'out, options, message',
    [
        ('small', [], 'made is a prepared set, of which no other is made; for .*small make it again from .*own '),
        ('small', ['--size', '64'], 'made was prepared for 96 pixels; leave --size out, or for 64 make it again from'),
        ('made', ['--size', '64'], 'made was prepared for 96 pixels; leave --size out'),
        ('made', ['--seed', '0'], 'made was split with seed 3; leave --seed out, or for seed 0 make it again from'),
        ('made', ['--task', 'segmentation'], 'made was prepared for detection; for segmentation make it again from'),
    ],
)
def test_of_a_made_set_no_other_is_made(tmp_path, monkeypatch, capsys, out, options, message):
    monkeypatch.chdir(tmp_path)
    exports.voc_flat(tmp_path / 'own')
    main(['data', 'make', 'own', 'made', '--seed', '3'])
    with pytest.raises(SystemExit, match=f'data make: .*{message}'):
        main(['data', 'make', 'made', out, *options])
    assert not (tmp_path / 'small').exists()
    capsys.readouterr()
    main(['data', 'make', 'made', 'made', '--seed', '3', '--size', '96'])
    assert f'The set is in {tmp_path / "made"}. Next: mmest train --data made\n' in capsys.readouterr().out


def test_the_command_refuses_in_a_sentence(tmp_path):
    with pytest.raises(SystemExit, match='data look: There is no data'):
        main(['data', 'look', str(tmp_path / 'nowhere')])


@pytest.mark.parametrize(
    'name, title, configs',
    [
        ('dior', 'DIOR', [f'detection/dior/{head}' for head in ('cascade-rcnn', 'faster-rcnn', 'retinanet')]),
        ('loveda', 'LoveDA', ['segmentation/loveda/segformer', 'segmentation/loveda/upernet']),
    ],
)
def test_a_prepared_official_set_is_known_with_its_configs(tmp_path, monkeypatch, capsys, name, title, configs):
    monkeypatch.chdir(tmp_path)
    official_trees.ALL[name](Path('source'))
    prepare(module_of(name), Path('source'), Path(name), 1)
    main(['data', 'look', name])
    said = capsys.readouterr().out
    assert f'· this is {title} as mmest data prepare wrote it: the configs {", ".join(configs)} keep to its' in said
    assert said.endswith(f' Next: mmest train {" or ".join(configs)}\n')
    exports.roboflow_coco(tmp_path / 'own')
    (tmp_path / 'own/summary.json').write_text('[]')  # a file of the user's
    main(['data', 'look', 'own'])
    assert 'Next: mmest train --data own\n' in capsys.readouterr().out


def test_sentences_without_a_path_are_wrapped_between_words(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('COLUMNS', '80')
    exports.roboflow_coco(tmp_path / 'own')
    main(['data', 'look', 'own'])
    said = capsys.readouterr().out
    lines = said[said.index('Objects: ') :].splitlines()
    assert max(map(len, lines[:2])) <= 80 and 'of its image.' in ''.join(lines[:2])


@pytest.mark.parametrize('command', ['look', 'make'])
def test_names_are_shown_as_they_are(command, tmp_path, monkeypatch, capsys):
    """Brackets are no markup, colons no emoji, and the command that is named can be copied."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('COLUMNS', '200')
    folder = tmp_path / "the planes [red] of :car: 'A'"
    exports.yolo_ultralytics(folder)
    description = folder / 'own.yaml'
    description.write_text("train: images/train\nval: images/val\nnames: ['plane [bold] :sun:', ship]\n")
    named = folder if command == 'look' else Path('made [x]')
    main(['data', command, str(folder), *([] if command == 'look' else [str(named)])])
    said = capsys.readouterr().out
    assert shlex.split(said[said.index('Next: ') + 6 :]) == ['mmest', 'train', '--data', str(named)]
    if command == 'look':
        assert said.startswith(f'{folder}: YOLO') and 'plane [bold] :sun:' in said
