"""Images and masks: pairs, sizes, and what the values of all masks mean."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from mmest.datasets.checks import check_data

pytest.importorskip('mmseg')


@pytest.fixture
def data(tmp_path):
    """A function that writes masks, 40 of them unless told, with an image for each, and returns the config."""

    def config(masks=None, size=(8, 8), kind='BaseSegDataset', ending='.png', **options) -> Config:
        masks = [np.eye(8, dtype=np.uint8)] * 40 if masks is None else masks
        for folder in ('images', 'masks'):
            (tmp_path / folder).mkdir(exist_ok=True)
        for number, mask in enumerate(masks):
            Image.fromarray(np.zeros((*size, 3), np.uint8)).save(tmp_path / 'images' / f'{number:02}.png')
            Image.fromarray(mask).save(tmp_path / 'masks' / f'{number:02}{ending}')
        dataset = dict(
            type=kind,
            data_root=str(tmp_path),
            data_prefix=dict(img_path='images', seg_map_path='masks'),
            pipeline=[dict(type='LoadAnnotations')],
        )
        if kind == 'BaseSegDataset':
            dataset.update(
                img_suffix='.png',
                seg_map_suffix=ending,
                metainfo=dict(classes=('land', 'water'), palette=[[0] * 3] * 2),
            )
        return Config(
            dict(
                default_scope='mmseg',
                work_dir=str(tmp_path / 'work'),
                train_dataloader=dict(dataset=dict(dataset, **options)),
            )
        )

    return config


def square(*values, kind=np.uint8) -> np.ndarray:
    return np.resize(np.array(values, kind), (8, 8))


def test_what_is_right_passes(data):
    assert check_data(data(), ['train']) == []


@pytest.mark.parametrize(
    'mask, sentence',
    [
        (square(0, 7, 2), '39.png has pixels of value 2, 7, but .* has 2 classes, numbered 0 to 1 .255 is ignored'),
        (np.zeros((8, 8, 3), np.uint8), '39.png is a colour image'),
        (np.zeros((8, 8, 4), np.uint8), '39.png is a colour image'),
        (np.zeros((6, 8), np.uint8), '39.png has 8×6 pixels, but its image .*39.png 8×8'),
        (square(0, 300, kind=np.uint16), '39.png has pixels of value 300'),
    ],
)
def test_the_last_mask_is_looked_at_as_the_first(data, mask, sentence):
    with pytest.raises(ValueError, match=sentence):
        check_data(data([square(0, 1)] * 39 + [mask]), ['train'])


@pytest.mark.parametrize(
    'mask, sentence',
    [
        (square(0, 0.5, kind=np.float32), 'pixels of value 0.5'),
        (square(0, -1, kind=np.int32), 'pixels of value -1'),
        (square(0, -1, kind=np.float32), 'pixels of value -1'),
    ],
)
def test_masks_of_rasters(data, mask, sentence):
    (note,) = check_data(data([square(0, 1, np.nan, kind=np.float32)], ending='.tif'), ['train'])
    assert '32.8% of the pixels are ignored' in note
    with pytest.raises(ValueError, match=sentence):
        check_data(data([mask], ending='.tif'), ['train'])


def test_palettes_and_bits_are_class_numbers(data, tmp_path):
    cfg = data()
    image = Image.fromarray(square(0, 1), 'P')
    image.putpalette([9, 9, 9, 200, 0, 0])
    image.save(tmp_path / 'masks/00.png')
    Image.fromarray(square(0, 1).astype(bool)).save(tmp_path / 'masks/01.png')
    assert check_data(cfg, ['train']) == []


def test_black_and_white_masks_are_refused(data):
    with pytest.raises(ValueError, match=r'0 and 255 alone: 255 is ignored, and no mask has the class water \(1\)'):
        check_data(data([square(0, 255)] * 3), ['train'])
    (note,) = check_data(data([square(0, 255)] * 3 + [square(0, 1)]), ['train'])
    assert '37.5% of the pixels are ignored' in note


def test_masks_without_any_label(data):
    notes = check_data(data([square(255)] * 2 + [square(0, 1)]), ['train'])
    assert any('2 masks (00.png, 01.png) are ignored altogether' in note for note in notes)
    with pytest.raises(ValueError, match='All masks .* are ignored altogether .value 255'):
        check_data(data([square(255)] * 3), ['train'])


def test_classes_that_never_occur_are_said(data):
    assert any('no mask shows the class water' in note for note in check_data(data([square(0)] * 2), ['train']))


def test_classes_that_count_from_1(data):
    """0 is ignored, as in LoveDA."""
    options = dict(reduce_zero_label=True)
    (note,) = check_data(data([square(0, 1, 2, 255)], **options), ['train'])
    assert '50.0% of the pixels are ignored' in note
    assert any('no mask shows the class water' in one for one in check_data(data([square(0, 1)], **options), ['train']))
    with pytest.raises(ValueError, match=r'of value 3, but .* numbered 1 to 2 \(255, 0 is ignored\)'):
        check_data(data([square(1, 3)], **options), ['train'])
    with pytest.raises(ValueError, match='All masks .* are ignored'):
        check_data(data([square(0, 255)], **options), ['train'])


def test_a_data_set_that_translates_numbers(data, tmp_path):
    import mmest.datasets.segmentation  # noqa: F401

    masks = [square(0, 1, 2, 3, 4, 5, 255)]
    for image in (cfg := data(masks, kind='DubaiDataset')) and (tmp_path / 'images').iterdir():
        image.rename(image.with_suffix('.jpg'))
    (note,) = check_data(cfg, ['train'])
    assert '28.1% of the pixels are ignored' in note
    Image.fromarray(square(0, 6)).save(tmp_path / 'masks/00.png')
    with pytest.raises(ValueError, match='of value 6, but .* has 5 classes'):
        check_data(cfg, ['train'])


@pytest.mark.parametrize('ending', ['.PNG', '.jpg', '.TIF'])
def test_images_of_other_endings_are_said(data, tmp_path, ending):
    cfg = data()
    for name in ('00.png', '01.png'):
        (tmp_path / 'images' / name).rename((tmp_path / 'images' / name).with_suffix(ending))
    (tmp_path / 'images/._05.png').write_bytes(b'left by a Mac')
    notes = '\n'.join(check_data(cfg, ['train']))
    assert f'2 images (00{ending}, 01{ending}) are left out, as they end in {ending}' in notes
    assert '2 masks (00.png, 01.png) are left out' in notes


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_lists_of_names(data, tmp_path, encoding):
    (tmp_path / 'list.txt').write_bytes('03.png\r\n\r\n01\r\n'.encode(encoding))
    cfg = data(ann_file='list.txt')
    check_data(cfg, ['train'])
    assert Path(cfg.train_dataloader.dataset.ann_file).read_text() == '03\n01\n'
    (tmp_path / 'list.txt').write_text('01\n44\n')
    with pytest.raises(FileNotFoundError, match='list .* names 2 images, of which 1 are not in .*: 44.png'):
        check_data(data(ann_file='list.txt'), ['train'])
    (tmp_path / 'list.txt').write_text('01\n03\n')
    cfg = data(ann_file='list.txt')
    assert check_data(cfg, ['train']) == [] and cfg.train_dataloader.dataset.ann_file == 'list.txt'


def test_what_was_seen_is_not_read_again(data, tmp_path, monkeypatch):
    from mmest.datasets.checks import images

    cfg = data([square(0, 1)] * 3 + [square(0)])
    notes = check_data(cfg, ['train'])
    opened = []
    read_mask = images.read_mask
    monkeypatch.setattr(images, 'ImageFile', None)
    monkeypatch.setattr(images, 'read_mask', lambda path: opened.append(path.name) or read_mask(path))
    assert check_data(cfg, ['train']) == notes and opened == []
    Image.fromarray(square(0, 9, 1)).save(tmp_path / 'masks/02.png')
    with pytest.raises(ValueError, match='02.png has pixels of value 9'):
        check_data(cfg, ['train'])
    assert opened == ['02.png']
