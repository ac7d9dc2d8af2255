import json

import cv2
import numpy as np
import pytest

from mmest.datasets.synthetic import (
    CLASSES,
    DOMAINS,
    MARKER,
    OBJECT_CLASSES,
    is_complete,
    render,
    scene_seed,
    write_dataset,
)

SEEDS = range(24)
IMAGES = dict(source=dict(train=3, val=2), target=dict(train=2))


@pytest.fixture(scope='module')
def scenes():
    return {name: [render(domain, [7, seed], 96) for seed in SEEDS] for name, domain in DOMAINS.items()}


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp('data') / 'synthetic'
    assert write_dataset(out, IMAGES, size=96, workers=2)
    return out


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


def test_same_seed_same_bytes_other_seed_other_picture():
    first, again, other = (render(DOMAINS['source'], seed, 96) for seed in (3, 3, 4))
    assert first.image.tobytes() == again.image.tobytes()
    assert first.semantic.tobytes() == again.semantic.tobytes()
    assert first.instance.tobytes() == again.instance.tobytes()
    assert (first.image != other.image).any()


def test_subset_has_the_bytes_of_the_whole(folder, tmp_path):
    write_dataset(tmp_path / 'part', dict(source=dict(train=1)), size=96, workers=1)
    name = 'source/images/train/00000.png'
    assert (tmp_path / 'part' / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.parametrize('domain', DOMAINS)
def test_boxes_are_tight_around_the_pixels_of_their_object(scenes, domain):
    for scene in scenes[domain]:
        for category, (x, y, w, h), area in scene.boxes():
            inside = scene.semantic[y : y + h, x : x + w] == CLASSES.index(OBJECT_CLASSES[category])
            assert inside.sum() >= area > 0
            for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
                assert edge.any()


@pytest.mark.parametrize('domain', DOMAINS)
def test_masks_and_instances_agree(scenes, domain):
    for scene in scenes[domain]:
        is_object = scene.semantic >= CLASSES.index(OBJECT_CLASSES[0])
        assert (is_object == (scene.instance > 0)).all()
        category = np.array(scene.categories)[scene.instance[is_object].astype(int) - 1]
        assert (scene.semantic[is_object] == category + CLASSES.index(OBJECT_CLASSES[0])).all()


@pytest.mark.parametrize('domain', DOMAINS)
def test_every_class_is_there(scenes, domain):
    assert set(np.concatenate([np.unique(s.semantic) for s in scenes[domain]])) == set(range(len(CLASSES)))
    assert {category for s in scenes[domain] for category in s.categories} == set(range(len(OBJECT_CLASSES)))


def test_the_domains_differ_in_colour_and_in_noise(scenes):
    colour = {name: np.mean([s.image.mean((0, 1)) for s in found], axis=0) for name, found in scenes.items()}
    noise = {
        name: np.mean([np.abs(cv2.Laplacian(s.image, cv2.CV_32F))[s.semantic == 0].mean() for s in found])
        for name, found in scenes.items()
    }
    assert np.abs(colour['source'] - colour['target']).max() > 25
    assert noise['target'] > noise['source']


def test_folder_holds_what_loaders_expect(folder):
    for domain, splits in IMAGES.items():
        for split, count in splits.items():
            coco = json.loads((folder / domain / 'annotations' / f'{split}.json').read_text())
            assert [c['name'] for c in coco['categories']] == list(OBJECT_CLASSES)
            assert len(coco['images']) == count
            assert len({a['id'] for a in coco['annotations']}) == len(coco['annotations'])
            for entry in coco['images']:
                image = cv2.imread(str(folder / domain / 'images' / split / entry['file_name']))
                mask = cv2.imread(str(folder / domain / 'masks' / split / entry['file_name']), cv2.IMREAD_UNCHANGED)
                assert image.shape == (96, 96, 3)
    index = render(DOMAINS['target'], scene_seed(0, 'target', 'train', 1), 96).semantic
    from mmcv import imfrombytes
    from mmengine.fileio import get

    mask = imfrombytes(get(folder / 'target/masks/train/00001.png'), flag='unchanged', backend='pillow')
    assert (mask == index).all()


def test_a_finished_folder_is_left_alone_and_other_parameters_replace_it(folder, tmp_path):
    before = files(folder)
    assert is_complete(folder, IMAGES, size=96)
    assert not write_dataset(folder, IMAGES, size=96)
    assert files(folder) == before
    out = tmp_path / 'synthetic'
    write_dataset(out, dict(source=dict(train=1)), size=64, workers=1)
    assert write_dataset(out, dict(target=dict(val=1)), size=64, workers=1)
    assert not (out / 'source').exists() and (out / 'target/images/val/00000.png').exists()


def test_a_broken_run_leaves_nothing_behind(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / 'synthetic', dict(source=dict(train=1)), size=64, workers=1, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_bad_input_gets_a_sentence(tmp_path):
    with pytest.raises(ValueError, match='source, target'):
        write_dataset(tmp_path / 'a', dict(moon=dict(train=1)))
    with pytest.raises(ValueError, match='at least 64'):
        write_dataset(tmp_path / 'a', dict(source=dict(train=1)), size=8)
    (tmp_path / 'photo.jpg').write_text('precious')
    with pytest.raises(FileExistsError, match=MARKER):
        write_dataset(tmp_path, dict(source=dict(train=1)), size=64)
    assert (tmp_path / 'photo.jpg').read_text() == 'precious'
