"""What the preparations write, against what mmdet and mmseg make of the same official files, and on real samples."""

import importlib.util
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import official_trees as trees
import pytest
from PIL import Image

from mmest.datasets.official import _isprs, dior, dota, isaid, loveda, potsdam, vaihingen
from mmest.datasets.preparation.command import prepare

REAL = Path(os.environ.get('MMEST_DATA', 'nowhere')) / 'official'
real_samples = pytest.mark.skipif(not REAL.is_dir(), reason='$MMEST_DATA names no folder with official samples')


def run(dataset, source: Path, out: Path) -> bool:
    return prepare(dataset.__name__, source, out, 1)


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def converter(name: str):
    """One of mmseg's own converters, which come with the package as a script."""
    mmseg = pytest.importorskip('mmseg')
    path = Path(mmseg.__file__).parent / '.mim/tools/dataset_converters' / f'{name}.py'
    if not path.is_file():
        pytest.skip(f'mmseg was installed without {path.name}')
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def same_pictures(ours: Path, theirs: Path) -> None:
    names = sorted(path.name for path in theirs.iterdir())
    assert sorted(path.name for path in ours.iterdir()) == names and names
    for name in names:
        assert (read(ours / name) == read(theirs / name)).all(), name


def test_classes_and_numbers_are_those_of_mmseg():
    datasets = pytest.importorskip('mmseg.datasets')
    for ours, theirs in (
        (_isprs, datasets.PotsdamDataset),
        (_isprs, datasets.ISPRSDataset),
        (loveda, datasets.LoveDADataset),
        (isaid, datasets.iSAIDDataset),
    ):
        assert tuple(ours.CLASSES) == theirs.METAINFO['classes']


@pytest.mark.parametrize('dataset, keys', [(potsdam, 38), (vaihingen, 33)])
def test_splits_are_whole(dataset, keys):
    train, val = (set(dataset.SPLITS[split]) for split in ('train', 'val'))
    assert len(train | val) == keys and not train & val
    assert {split: len(keys) for split, keys in dataset.SPLITS.items()} == {
        split: numbers['images'] for split, numbers in dataset.OFFICIAL.items()
    }


@pytest.mark.parametrize('dataset', [potsdam, vaihingen])
def test_isprs_patches_are_those_of_mmseg(dataset, tmp_path):
    name = dataset.__name__.rpartition('.')[2]
    masks = trees.ALL[name](tmp_path / 'source')
    run(dataset, tmp_path / 'source', tmp_path / 'out')
    theirs = converter(name)
    theirs.args = SimpleNamespace(clip_size=512, stride_size=256)  # Vaihingen's reads a global
    arguments = (theirs.args,) if name == 'potsdam' else ()
    for path in (tmp_path / 'source').rglob('*.tif'):
        kind = 'ann_dir' if 'noBoundary' in path.name else 'img_dir'
        split = 'train' if '2_10' in path.name or 'area1' in path.name else 'val'
        folder = tmp_path / 'theirs' / kind / split
        folder.mkdir(parents=True, exist_ok=True)
        theirs.clip_big_image(str(path), str(folder), *arguments, to_label=kind == 'ann_dir')
    for kind in ('img_dir', 'ann_dir'):
        for split in ('train', 'val'):
            same_pictures(tmp_path / 'out' / kind / split, tmp_path / 'theirs' / kind / split)
    assert set(np.unique(list(masks.values())[0])) == set(range(7))


def test_isaid_patches_are_those_of_mmseg(tmp_path, monkeypatch):
    trees.isaid(tmp_path / 'source')
    run(isaid, tmp_path / 'source', tmp_path / 'out')
    theirs = converter('isaid')
    # It asks for a palette without giving one, and Pillow 13 then saves every pixel as the same colour.
    fromarray = Image.fromarray
    monkeypatch.setattr(Image, 'fromarray', lambda pixels, mode=None: fromarray(pixels))
    for split in ('train', 'val'):
        for kind in ('img_dir', 'ann_dir'):
            (tmp_path / 'theirs' / kind / split).mkdir(parents=True)
        for path in (tmp_path / 'source' / split / 'images').iterdir():
            theirs.slide_crop_image(str(path), str(tmp_path / 'theirs'), split, 896, 896, 384)
        for path in (tmp_path / 'source' / split / 'Semantic_masks').iterdir():
            theirs.slide_crop_label(str(path), str(tmp_path / 'theirs'), split, 896, 896, 384)
        for kind in ('img_dir', 'ann_dir'):
            same_pictures(tmp_path / 'out' / kind / split, tmp_path / 'theirs' / kind / split)


def test_colours_that_are_slightly_off_are_taken_for_the_nearest(tmp_path):
    """As in one of Potsdam's labels: a few pixels of (252, 255, 0)."""
    masks = trees.potsdam(tmp_path / 'source')
    path = tmp_path / 'source/5_Labels_all_noBoundary/top_potsdam_2_10_label_noBoundary.tif'
    pixels = cv2.imread(str(path))
    pixels[masks['2_10'] == 5] = (0, 255, 252)
    pixels[0, :3] = (90, 90, 90)
    cv2.imwrite(str(path), pixels)
    run(potsdam, tmp_path / 'source', tmp_path / 'out')
    mask = read(tmp_path / 'out/ann_dir/train/2_10_0_0_512_512.png')
    expected = masks['2_10'][:512, :512].copy()
    expected[0, :3] = 0
    assert (mask == expected).all()
    assert json.loads((tmp_path / 'out/summary.json').read_text())['counts']['train']['pixels of unknown colour'] == 3


@pytest.mark.parametrize('ignored', [0, 255])
@pytest.mark.parametrize('module', [potsdam, isaid])
def test_masks_of_class_numbers_are_no_colours_near_black(tmp_path, module, ignored):
    name = module.__name__.rpartition('.')[2]
    masks = trees.ALL[name](tmp_path / 'source')
    key = list(masks)[0]
    path = next((tmp_path / 'source').rglob(f'*{key}_*' if name == 'isaid' else f'*{key}_label*'))
    numbers = masks[key].astype(np.uint8)
    numbers[numbers == 0] = ignored
    cv2.imwrite(str(path), numbers)
    run(module, tmp_path / 'source', tmp_path / 'out')
    said = (tmp_path / 'out/problems.txt').read_text()
    levels = 'grey levels (0, 1, 2, 3' if ignored == 0 else 'grey levels (1, 2, 3, 4'
    assert path.name in said and levels in said and "in place of the publisher's colours" in said
    assert not list((tmp_path / 'out/ann_dir').glob('train/*'))


def test_a_mask_of_background_alone_is_one(tmp_path):
    masks = trees.isaid(tmp_path / 'source')
    path = next((tmp_path / 'source').rglob('P0005_*'))
    trees.write(path, np.zeros((*masks['P0005'].shape, 3), np.uint8))
    assert run(isaid, tmp_path / 'source', tmp_path / 'out')


def test_loveda_is_kept_byte_for_byte(tmp_path):
    source = trees.loveda(tmp_path / 'source')
    assert run(loveda, source, tmp_path / 'out')
    assert (tmp_path / 'out/ann_dir/train/1.png').read_bytes() == (source / 'Train/Urban/masks_png/1.png').read_bytes()
    assert (tmp_path / 'out/img_dir/test/4.png').read_bytes() == (source / 'Test/Rural/images_png/4.png').read_bytes()
    assert sorted(path.name for path in (tmp_path / 'out/img_dir/val').iterdir()) == ['2.png', '3.png']


def test_dior_boxes_are_those_of_mmdet(tmp_path):
    """Mmdet's loader of VOC reads the official XML itself."""
    datasets = pytest.importorskip('mmdet.datasets')
    source = trees.dior(tmp_path / 'source')
    assert run(dior, source, tmp_path / 'out')
    theirs = datasets.XMLDataset(
        ann_file=str(source / 'ImageSets/Main/train.txt'),
        data_prefix=dict(sub_data_root=str(source)),
        ann_subdir='Annotations/Horizontal Bounding Boxes',
        img_subdir='JPEGImages-trainval',
        metainfo=dict(classes=dior.CLASSES),
        pipeline=[],
        test_mode=True,
    )
    from mmest.datasets.detection.dior import DIORDataset

    ours = DIORDataset(
        ann_file=str(tmp_path / 'out/annotations/train.json'),
        data_prefix=dict(img=str(tmp_path / 'out/images')),
        pipeline=[],
        test_mode=True,
    )
    assert len(ours) == len(theirs) == 2
    for index in range(2):
        expected = theirs.get_data_info(index)['instances']
        found = ours.get_data_info(index)['instances']
        assert [one['bbox_label'] for one in found] == [one['bbox_label'] for one in expected]
        # The box that begins at pixel 1 begins at 0 in mmdet, too.
        assert [one['bbox'] for one in found] == [list(map(float, one['bbox'])) for one in expected]
    names = [
        image['file_name'] for image in json.loads((tmp_path / 'out/annotations/trainval.json').read_text())['images']
    ]
    assert names == ['00001.jpg', '00002.jpg', '00003.jpg']


@real_samples
def test_real_dior_picture(tmp_path):
    source = tmp_path / 'source'
    shutil.copytree(REAL / 'dior', source)
    trees.text(source / 'ImageSets/Main/train.txt', '00001')
    run(dior, source, tmp_path / 'out')
    content = json.loads((tmp_path / 'out/annotations/train.json').read_text())
    [found] = content['annotations']
    assert dior.CLASSES[found['category_id'] - 1] == 'golffield' and found['bbox'] == [132, 236, 551, 435]


@real_samples
def test_real_dota_labels_and_pictures(tmp_path):
    source = tmp_path / 'source'
    for name in ('P0706', 'P1888'):
        for folder, ending in (('images', 'png'), ('labelTxt', 'txt')):
            (source / 'train' / folder).mkdir(parents=True, exist_ok=True)
            shutil.copy(REAL / 'dota' / folder / f'{name}.{ending}', source / 'train' / folder)
    assert run(dota, source, tmp_path / 'out')
    counts = json.loads((tmp_path / 'out/summary.json').read_text())
    # Counted with awk.
    assert counts['counts']['train'] == dict(images=2, patches=5, objects=600, difficult=6)
    assert counts['classes']['train'] == {'ship': 531, 'harbor': 5, 'small-vehicle': 14, 'large-vehicle': 50}
    whole = read(REAL / 'dota/images/P0706.png')
    for path in (tmp_path / 'out/train').glob('P0706*'):
        x, y = map(int, path.stem.split('__')[1:])
        assert (read(path) == whole[y : y + 1024, x : x + 1024]).all()


@real_samples
def test_real_isaid_masks(tmp_path):
    run(isaid, REAL / 'isaid', tmp_path / 'out')
    assert (tmp_path / 'out/problems.txt').read_text() == 'train: P0002: its picture is missing; left out\n'
    mask = read(tmp_path / 'out/ann_dir/val/P0003_0_896_0_896_instance_color_RGB.png')
    colours = read(REAL / 'isaid/val/images/P0003_instance_color_RGB.png')[:896, :896]
    # The round thing in the middle is a tank, the rows of long ones are buses.
    assert mask[663, 476] == isaid.CLASSES.index('store_tank') and tuple(colours[663, 476]) == (0, 63, 63)
    assert mask[300, 305] == isaid.CLASSES.index('Large_Vehicle')
    assert ((mask == 0) == (colours == 0).all(-1)).all()


@real_samples
@pytest.mark.parametrize(
    'folder, name',
    [('potsdam_mmseg', 'PotsdamDataset'), ('vaihingen_mmseg', 'ISPRSDataset'), ('loveda_mmseg', 'LoveDADataset')],
)
def test_real_patches_load_as_prepared_ones_do(folder, name):
    """Files that mmseg's converters wrote have the names and numbers of ours."""
    datasets = pytest.importorskip('mmseg.datasets')
    dataset = getattr(datasets, name)(
        data_root=str(REAL / folder), pipeline=[], data_prefix=dict(img_path='img_dir', seg_map_path='ann_dir')
    )
    assert len(dataset) == len(list((REAL / folder / 'ann_dir').iterdir()))
    for info in dataset:
        assert read(info['seg_map_path']).max() <= len(dataset.metainfo['classes'])
    if name != 'LoveDADataset':
        keys = potsdam.SPLITS['train'] + vaihingen.SPLITS['train']
        stem = Path(dataset[0]['img_path']).stem
        assert stem.removesuffix('_0_0_512_512') in keys
