"""Splits that are made where the data has none."""

import json
from collections import Counter
from pathlib import Path

import exports
import numpy as np
import official_trees
import pytest
from PIL import Image

from mmest.datasets.official import dior
from mmest.datasets.own.cutting import _part, cut
from mmest.datasets.own.detect import read
from mmest.datasets.own.prepare import prepare as prepare_own
from mmest.datasets.own.sample import Notes, OwnData, Sample, Thing
from mmest.datasets.own.sources import scene_of
from mmest.datasets.own.splits import choose, pixels_of, split
from mmest.datasets.preparation.command import prepare

SPLITS = dict(valid='val', validation='val')


def data(names: list[str], stated: dict[str, str] | None = None) -> OwnData:
    samples = [
        Sample(Path(name), name, 64, 64, [Thing(i % 2, (0, 0, 9, 9))], split=(stated or {}).get(name))
        for i, name in enumerate(names)
    ]
    return OwnData(Path('own'), 'COCO JSON', ['a', 'b'], samples, 'boxes', Notes())


def masked(names: list[str], masks: list[Path], read_mask) -> OwnData:
    found = data(names)
    for sample, mask in zip(found.samples, masks, strict=True):
        sample.mask, sample.objects = mask, []
    found.labels, found.read_mask = 'masks', read_mask
    return found


def splits_by_source(found: OwnData, source) -> dict[str, set]:
    by_source: dict[str, set] = {}
    for sample in found.samples:
        by_source.setdefault(source(sample.name), set()).add(sample.split)
    return by_source


def test_copies_of_one_image_stay_together():
    found = data([f'scene{i}_jpg.rf.{copy:032x}.jpg' for i in range(10) for copy in range(3)])
    said = split(found)
    assert all(len(splits) == 1 for splits in splits_by_source(found, lambda name: name.split('.rf.')[0]).values())
    assert Counter(sample.split for sample in found.samples) == dict(train=24, val=6)
    assert 'copies of one image together' in said and 'seed 0' in said


def test_tiles_of_one_scene_stay_together():
    found = data([f'P{i:04d}_{x}_{y}.png' for i in range(10) for x in (0, 512) for y in (0, 512)])
    said = split(found)
    assert all(len(splits) == 1 for splits in splits_by_source(found, lambda name: name[:5]).values())
    assert 'tiles of one scene together' in said


@pytest.mark.parametrize(
    'name',
    [
        'P{:04d}__1024__{}___{}.png',
        'images/P{:04d}_x{}_y{}.tif',
        'train/P{:04d}_{}_{}_png.rf.0123456789abcdef0123456789abcdef.jpg',
        'P{:04d}-{}-{}_JPEG.rf.0123456789abcdef0123456789abcdef.jpg',
        'P{:04d}_{}_{}.tif.rf.0123456789abcdef0123456789abcdef.jpg',
        'P{:04d}_{}_{}-bmp.rf.0123456789abcdef0123456789abcdef.png',
        'P{:04d}_row{}_col{}.png',
        'P{:04d}-Row-{}-Col-{}.png',
        'P{:04d}_r{}c{}.png',
        'P{:04d}_R{}_C{}.png',
        'P{:04d}_{}x{}.png',
        'P{:04d}_x{}y{}.jpg',
        'P{:04d}_{}_{}_hflip.png',
        'P{:04d}/r{}c{}.png',
        'P{:04d}/x{}_y{}.png',
    ],
)
def test_tiles_by_other_names_stay_together(name):
    found = data([name.format(i, x, y) for i in range(6) for x in (0, 512) for y in (0, 512)])
    said = split(found)
    assert all(len(splits) == 1 for splits in splits_by_source(found, lambda name: name.split('P')[1][:4]).values())
    assert 'tiles of one scene together' in said and not found.notes.lines()


@pytest.mark.parametrize('scenes', [1, 2, 4])
@pytest.mark.parametrize('ending', ['.png', '_png.rf.0123456789abcdef0123456789abcdef.jpg'])
def test_tiles_of_few_scenes_on_both_sides_are_said(scenes, ending):
    found = data([f'city{i}_{x}_{y}{ending}' for i in range(scenes) for x in range(6) for y in range(6)])
    assert 'together' not in split(found)
    assert all(len(splits) == 2 for splits in splits_by_source(found, lambda name: name[:5]).values())
    (note,) = found.notes.lines()
    assert note.startswith('by their names, copies or tiles of one scene both train and validate (city0')
    assert 'of fewer than 5 scenes none is held out; put ground of its own into a folder "val"' in note


def test_of_few_scenes_that_are_no_tiles_nothing_is_said():
    for names in (
        ['a.jpg', 'b.jpg', 'c.jpg'],
        [f'site_{i}.png' for i in range(20)],
        [f'{i}_0_0.png' for i in range(4)],
    ):
        found = data(names)
        split(found)
        assert not found.notes.lines()


CHANGES = ['', '_flip', '_hflip', '-flipped', '_flip_lr', '_aug1', '_augmented_12', '_rot90', '_rotated_180_2', '_blur']


def test_changed_copies_of_one_image_stay_together():
    found = data([f'roof {i}{change}.png' for i in range(10) for change in CHANGES])
    said = split(found)
    sides = splits_by_source(found, lambda name: name.removeprefix('roof ')[0])
    assert all(len(splits) == 1 for splits in sides.values())
    assert Counter(sample.split for sample in found.samples) == dict(train=80, val=20)
    assert 'copies or tiles of one scene together' in said


@pytest.mark.parametrize(
    'name',
    ['img_{}c51.png', 'roof_{}_blurry.png', '{}_0aug.png', 'augsburg {}.png', 'a{}flip.png', '{}x3.png'],
)
def test_other_names_are_no_places_and_no_changes(name):
    names = [name.format(10 + i) for i in range(20)]
    assert [scene_of(one) for one in names] == [one.rsplit('.', 1)[0] for one in names]


@pytest.mark.parametrize('name', ['{}_{:03d}.png', '{}{:04d}.jpg', '{}/{}.png', '{}-{}.rf.0123456789abcdef.jpg'])
def test_series_of_running_numbers_are_said(name):
    found = data([name.format(place, i) for place in ('rome', 'oslo') for i in range(10)])
    assert 'together' not in split(found)
    (note,) = found.notes.lines()
    assert 'images are numbered in 2 series (' in note and 'put whole series into a folder "val"' in note


@pytest.mark.parametrize('name', ['roof_{}.png', '{}.png', '{}_roof.png', 'P{}.png'])
def test_one_series_says_nothing_and_neither_do_names_of_their_own(name):
    found = data([name.format(100 + i) for i in range(20)])
    split(found)
    assert not found.notes.lines()


def test_the_same_seed_gives_the_same_split_and_another_another():
    def chosen(seed: int) -> list[str]:
        found = data([f'{i}.jpg' for i in range(50)])
        split(found, seed)
        return [sample.name for sample in found.samples if sample.split == 'val']

    assert len(chosen(0)) == 10
    assert chosen(0) == chosen(0) != chosen(1)


def test_rare_classes_are_on_both_sides():
    groups = {i: Counter(common=5, rare=int(i in (3, 17))) for i in range(20)}
    for seed in range(5):
        assert len(choose(groups, seed) & {3, 17}) == 1


def test_what_few_groups_hold_most_of_is_on_both_sides_by_its_share():
    """One of the four is a quarter; two would be half, and without any next to nothing would be left."""
    groups = {i: Counter(common=5, often=100 if i < 4 else 1) for i in range(20)}
    for seed in range(20):
        assert len(choose(groups, seed) & {0, 1, 2, 3}) == 1


def test_what_one_group_alone_has_trains_even_where_others_miss_their_share():
    """Group 0 is one of the two that hold most of five other classes."""
    held = {f'class {i}': 100 for i in range(5)}
    groups = {i: Counter(held if i < 2 else dict.fromkeys(held, 1)) for i in range(20)}
    groups[0]['alone'] = 1
    for seed in range(20):
        assert 0 not in choose(groups, seed)


def test_a_scene_of_most_images_trains_though_nothing_is_on_them():
    found = data([f'P0_{x}_0.png' for x in range(40)] + [f'P{i}_0_0.png' for i in range(1, 20)])
    for sample in found.samples[:40]:
        sample.objects = []
    for seed in range(20):
        for sample in found.samples:
            sample.split = None
        split(found, seed)
        assert {sample.split for sample in found.samples[:40]} == {'train'}


def test_ground_that_is_ignored_is_no_class():
    mask = np.full((8, 8), 255, np.uint8)
    mask[:2], mask[2, :3] = 0, 7
    assert pixels_of(mask) == {0: 16, 7: 3}


@pytest.mark.parametrize('count', [2, 3, 7])
def test_one_group_validates_at_least_and_one_trains(count):
    groups = {i: Counter(common=5) for i in range(count)}
    assert len(choose(groups, 0, share=0.01)) == 1
    assert len(choose(groups, 0, share=0.99)) == count - 1


def random_groups(count: int, kinds: int, seed: int) -> dict[str, Counter]:
    """Images of which each shows a few classes, the last of them rarely."""
    random = np.random.default_rng(seed)
    often = 0.8 / np.arange(1, kinds + 1)
    shown = random.random((count, kinds)) < often
    objects = np.where(shown, 1 + random.exponential(8, (count, kinds)).astype(int), 0)
    return {f'{i}.jpg': Counter(dict(enumerate(row), images=1)) for i, row in enumerate(objects.tolist())}


@pytest.mark.parametrize('count, kinds', [(60, 3), (200, 12), (500, 4)])
@pytest.mark.parametrize('seed', range(3))
def test_images_that_come_or_go_leave_others_where_they_are(count, kinds, seed):
    groups = random_groups(count, kinds, seed)
    before = choose(groups, seed)
    more = groups | {'new.jpg': Counter({0: 5, 'images': 1})}
    fewer = {name: held for name, held in groups.items() if name != '7.jpg'}
    other_way = dict(reversed(groups.items()))
    assert len((choose(more, seed) ^ before) - {'new.jpg'}) <= 4
    assert len((choose(fewer, seed) ^ before) - {'7.jpg'}) <= 4
    assert choose(other_way, seed) == before


@pytest.mark.parametrize('count, kinds', [(10, 2), (30, 5), (200, 30)])
@pytest.mark.parametrize('seed', range(3))
def test_each_class_has_about_its_share_where_that_can_be(count, kinds, seed):
    groups = random_groups(count, kinds, seed)
    chosen = choose(groups, seed)
    assert len(chosen) == count // 5
    for kind in range(kinds):
        holders = [name for name, held in groups.items() if held[kind]]
        share = sum(groups[name][kind] for name in chosen) / max(sum(groups[name][kind] for name in holders), 1)
        if len(holders) > 1:
            assert 0 < share < 1
        if len(holders) > count / 2:
            assert 0.1 <= share <= 0.4


def unsplit(root: Path, names: list[str]) -> None:
    boxes = exports.images(root, names)
    (root / 'a.json').write_text(json.dumps(exports.coco(boxes)))


def of_split(folder: Path, part: str) -> set[str]:
    return {image['file_name'] for image in json.loads((folder / f'{part}.json').read_text())['images']}


def test_what_a_run_trained_on_does_not_validate_when_it_goes_on(tmp_path):
    own, out = tmp_path / 'own', tmp_path / 'out'
    names = [f'{i}.png' for i in range(10)]
    unsplit(own, names)
    prepare_own(own, out)
    trained, validated = of_split(out, 'train'), of_split(out, 'val')
    prepare_own(own, out, trained=out)  # nothing has changed
    for name in validated:
        (own / name).unlink()
    unsplit(own, sorted(trained))
    for folder in (out, tmp_path / 'other'):
        with pytest.raises(
            ValueError, match=r'own has changed, and \d of the images that .* would now validate .*\d.png'
        ):
            prepare_own(own, folder, trained=out)
    assert (of_split(out, 'train'), of_split(out, 'val')) == (trained, validated)
    prepare_own(own, tmp_path / 'other')
    with pytest.raises(ValueError, match='Put the data back as it was, or train anew'):
        prepare_own(own, tmp_path / 'other', trained=out)
    prepare_own(own, out)  # a run from the start
    assert of_split(out, 'val') < trained


def test_what_the_data_says_stays():
    names = [f'{i}.jpg' for i in range(10)]
    found = data(names, {name: 'val' if name < '3' else 'train' for name in names})
    assert split(found) == 'split as the data says'
    assert sum(sample.split == 'val' for sample in found.samples) == 3


def test_a_validation_split_alone_is_split_as_if_nothing_was_said():
    names = [f'{i}.jpg' for i in range(10)]
    found = data(names, dict.fromkeys(names, 'val'))
    assert split(found).startswith('no validation split was found: 2 of 10 images')
    assert Counter(sample.split for sample in found.samples) == dict(train=8, val=2)


def test_a_test_split_alone_is_left_alone():
    names = [f'{i}.jpg' for i in range(10)]
    found = data(names, dict.fromkeys(names[:5], 'test') | dict.fromkeys(names[5:], 'train'))
    split(found)
    assert Counter(sample.split for sample in found.samples) == dict(test=5, train=4, val=1)


@pytest.mark.parametrize(
    'folder, said',
    [
        ('test_site/', 'all of the split test, as the name of the folder test_site says.*Rename it, or put'),
        ('', 'all to test with.*Put'),
    ],
)
def test_images_that_are_all_to_test_with_are_said(folder, said):
    names = [f'area/{folder}{i}.jpg' for i in range(9)]
    with pytest.raises(ValueError, match=f'own holds 9 images, {said} images that train into a folder "train"'):
        split(data(names, dict.fromkeys(names, 'test')))


def test_one_image_cannot_be_split():
    with pytest.raises(ValueError, match='own holds 1 image to train and to validate with; at least two'):
        split(data(['a.jpg']))


def test_classes_of_masks_are_on_both_sides():
    """Masks have no objects, by which classes are counted elsewhere."""
    masks = {Path(f'{i}.png'): np.full((8, 8), 255, np.uint8) for i in range(20)}
    for i, mask in enumerate(masks.values()):
        mask[:4], mask[4, 0] = 0, int(i in (3, 17))
    for seed in range(5):
        found = masked([f'{i}.jpg' for i in range(20)], list(masks), masks.__getitem__)
        split(found, seed)
        assert {found.samples[i].split for i in (3, 17)} == {'train', 'val'}


@pytest.mark.parametrize('ignore', [False, True])
@pytest.mark.parametrize('right, barely', [(99, True), (101, False), (200, False)])
def test_of_an_object_that_a_tile_cuts_half_has_to_be_seen(right, barely, ignore):
    found = _part(Thing(1, (90, 50, 110, 70), ignore=ignore), (40, 20, right, 90))
    assert found == Thing(1, (50, 30, min(right, 110) - 40, 50), None, ignore, barely)


def test_blocks_of_a_masked_scene_have_all_classes_on_both_sides():
    mask = np.zeros((512, 512), np.uint8)
    mask[:64, :64] = mask[-64:, -64:] = 1
    for seed in range(5):
        found = masked(['scene.png'], [Path('mask.png')], lambda _: mask)
        found.samples[0].width = found.samples[0].height = 512
        cut(found, 64, seed)
        shown = Counter()
        for tile in found.samples:
            x0, y0, x1, y1 = tile.window
            shown[tile.split] += int((mask[y0:y1, x0:x1] == 1).sum())
        assert shown['train'] and shown['val']


@pytest.mark.parametrize('name', ['{}.json', 'instances_{}2017.json'])
@pytest.mark.parametrize('val', ['val', 'valid', 'validation'])
def test_trainval_is_train_and_val_together(tmp_path, name, val):
    """Where it is all there is, it has no split."""
    truth = {part: exports.images(tmp_path, [f'{part}{i}.png' for i in range(2)]) for part in ('train', val, 'test')}
    splits = {image: SPLITS.get(part, part) for part, boxes in truth.items() for image in boxes}
    truth['trainval'] = truth['train'] | truth[val]
    for part, boxes in truth.items():
        (tmp_path / name.format(part)).write_text(json.dumps(exports.coco(boxes)))
    found = read(tmp_path)
    assert {sample.name: sample.split for sample in found.samples} == splits
    objects = {sample.name: len(sample.objects) for sample in found.samples}
    assert objects == {image: len(boxes) for part in truth.values() for image, boxes in part.items()}
    assert any('trainval' in line and 'passed over' in line for line in found.notes.lines())
    (tmp_path / name.format('train')).unlink()
    (tmp_path / name.format(val)).unlink()
    assert Counter(sample.split for sample in read(tmp_path).samples) == {None: 4, 'test': 2}


def test_prepared_dior_is_read_as_own_data(tmp_path):
    prepare(dior.__name__, official_trees.dior(tmp_path / 'source'), tmp_path / 'dior', 1)
    assert Counter(sample.split for sample in read(tmp_path / 'dior').samples) == dict(train=2, val=1, test=2)


def voc(root: Path, names: list[str]) -> None:
    """Boxes and masks of the layout of VOCdevkit."""
    exports.images(root / 'JPEGImages', [f'{name}.jpg' for name in names])
    for folder in ('Annotations', 'SegmentationClass'):
        (root / folder).mkdir()
    box = '<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>20</xmax><ymax>20</ymax></bndbox>'
    for name in names:
        (root / 'Annotations' / f'{name}.xml').write_text(
            f'<annotation><object><name>a</name>{box}</object></annotation>'
        )
        Image.fromarray(np.eye(*exports.SIZE[::-1], dtype=np.uint8)).save(root / 'SegmentationClass' / f'{name}.png')


def listed(root: Path, kind: str, **lists: str | bytes) -> dict[str, str | None]:
    """The splits that are read, where ImageSets hold these lists."""
    folder = root / 'ImageSets' / kind
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in lists.items():
        (folder / f'{name}.txt').write_bytes(text.encode() if isinstance(text, str) else text)
    return {Path(sample.name).stem: sample.split for sample in read(root, segments=kind != 'Main').samples}


@pytest.mark.parametrize('kind', ['Main', 'Segmentation'])
@pytest.mark.parametrize(
    'line', ['{}', '{}.jpg', '{}.PNG', 'JPEGImages/{}.jpg', 'JPEGImages\\{}.jpg', '{} 1', '{}.jpg {}.png', '{}\r']
)
def test_a_list_names_images_with_their_ending_or_without(tmp_path, kind, line):
    names = ['a', 'b', 'c d', 'e.f']
    voc(tmp_path, names)
    train, val, test = (line.replace('{}', name) + '\n' for name in names[:3])
    of_a_class = dict(plane_val='c d -1\n') if kind == 'Main' else {}
    found = listed(tmp_path, kind, train=train + line.replace('{}', 'e.f'), val=val, test=test, **of_a_class)
    assert found == {'a': 'train', 'b': 'val', 'c d': 'test', 'e.f': 'train'}


@pytest.mark.parametrize('kind', ['Main', 'Segmentation'])
def test_names_of_lists_that_no_image_has_are_counted(tmp_path, kind):
    voc(tmp_path, ['a', 'b'])
    listed(tmp_path, kind, train='a\nb\n', test='x.jpg\ny.jpg\n')
    notes = read(tmp_path, segments=kind != 'Main').notes.lines()
    assert 'names in lists of ImageSets without an image: 2 (x, y)' in notes
    with pytest.raises(
        ValueError, match=rf'None of the 3 names in .*{kind}/test.txt, .*train.txt is .* image: x, y, z'
    ):
        listed(tmp_path, kind, train='z\n')


def test_a_list_in_utf_16_is_read_and_other_bytes_name_the_file(tmp_path):
    voc(tmp_path, ['a', 'b'])
    assert listed(tmp_path, 'Main', train='a'.encode('utf-16'), val='b') == dict(a='train', b='val')
    with pytest.raises(ValueError, match='The list .*val.txt is no text in UTF-8 or UTF-16'):
        listed(tmp_path, 'Main', val='Dächer'.encode('latin-1'))
