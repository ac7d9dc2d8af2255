"""Outlines that mmdet passes over and COCO's metric fails at are left out and counted before anything trains."""

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from mmest.datasets.checks import check_data
from mmest.datasets.checks.outlines import readable

SQUARE = [10, 10, 30, 10, 30, 30, 10, 30]
WIDTH, HEIGHT = 48, 32
NAN = float('nan')


def rle(mask: np.ndarray) -> dict:
    packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(size=packed['size'], counts=packed['counts'].decode())


def plain(mask: np.ndarray) -> dict:
    """The same in numbers: runs of columns, beginning with one of zeros."""
    flat = np.concatenate([[0], mask.flatten('F').astype(int), [-1]])
    ends = np.flatnonzero(np.diff(flat))
    return dict(size=list(mask.shape), counts=np.diff(np.concatenate([[0], ends])).tolist())


def spots(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((HEIGHT, WIDTH)) < 0.3


@pytest.mark.parametrize('outline', [[SQUARE], [SQUARE, [0, 0, 60, 0, 0.5, 90]], rle(spots(0)), plain(spots(0))])
def test_what_coco_has_is_read_as_it_is(outline):
    assert readable(outline, (WIDTH, HEIGHT)) == (outline, '')


@pytest.mark.parametrize('seed', range(20))
def test_runs_are_those_of_coco(seed):
    mask = spots(seed)
    mask[:, : seed * 2] = seed % 2
    text = rle(mask)
    assert readable(text, (WIDTH, HEIGHT)) == (text, '')
    assert np.array_equal(coco_mask.decode(dict(text, counts=text['counts'].encode())), mask)
    assert readable(dict(text, counts=text['counts'][:-1]), (WIDTH, HEIGHT))[1].endswith('cover nothing')
    assert readable(text, (HEIGHT, WIDTH))[1].endswith('another size than their image')


BAD = {
    'two points': ([[3, 3, 20, 20]], 'fewer than three points'),
    'half a point': ([[3, 3, 20, 20, 9]], 'half a point'),
    'seven numbers': ([[3, 3, 20, 20, 9, 2, 8]], 'half a point'),
    'an empty polygon': ([[]], 'fewer than three points'),
    'pairs': ([[[3, 3], [20, 3], [20, 20]]], 'a form that COCO does not have'),
    'flat': (SQUARE, 'a form that COCO does not have'),
    'text': ('3 3 20 20', 'a form that COCO does not have'),
    'text inside': ([['3', '3', '20', '3', '20', '20']], 'a form that COCO does not have'),
    'true': (True, 'a form that COCO does not have'),
    'nothing': (None, 'no outline'),
    'not finite': ([[3, 3, NAN, 3, 20, 20]], 'NaN or infinity'),
    'elsewhere': ([[50, 3, 60, 3, 60, 20]], 'outside of their image'),
    'without a size': (dict(counts=rle(spots(0))['counts']), 'another size'),
    'of another image': (dict(rle(spots(0)), size=[9, 9]), 'another size'),
    'cut off': (dict(rle(spots(0)), counts=rle(spots(0))['counts'][:7]), 'damaged'),
    'no runs': (dict(size=[HEIGHT, WIDTH]), 'damaged'),
    'not of these letters': (dict(size=[HEIGHT, WIDTH], counts='\x00ü'), 'damaged'),
    'negative': (dict(size=[HEIGHT, WIDTH], counts=[-1, HEIGHT * WIDTH + 1]), 'damaged'),
    'of nothing': (dict(size=[HEIGHT, WIDTH], counts=[HEIGHT * WIDTH]), 'cover nothing'),
}


@pytest.fixture
def config(tmp_path):
    for number in range(4):
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(tmp_path / f'{number}.png')

    def write(outline: object, with_mask: bool = True) -> Config:
        outlines = [outline, [SQUARE], rle(spots(1)), plain(spots(2))]
        whole = dict(
            images=[dict(id=i + 1, file_name=f'{i}.png', width=WIDTH, height=HEIGHT) for i in range(4)],
            annotations=[
                dict(id=i + 1, image_id=i + 1, category_id=1, bbox=[1, 1, 9, 9], area=81, iscrowd=0, segmentation=one)
                for i, one in enumerate(outlines)
            ],
            categories=[dict(id=1, name='ship')],
        )
        (tmp_path / 'all.json').write_text(json.dumps(whole))
        dataset = dict(
            type='CocoDataset',
            data_root=str(tmp_path),
            ann_file='all.json',
            data_prefix=dict(img=''),
            metainfo=dict(classes=('ship',)),
            pipeline=[dict(type='LoadAnnotations', with_bbox=True, with_mask=with_mask)],
        )
        metric = dict(type='CocoMetric', ann_file=str(tmp_path / 'all.json'), metric=['bbox', 'segm'])
        return Config(
            dict(
                default_scope='mmdet',
                work_dir=str(tmp_path / 'work'),
                train_dataloader=dict(dataset=dataset),
                val_dataloader=dict(dataset=dataset),
                val_evaluator=metric,
            )
        )

    return write


@pytest.mark.parametrize('name', BAD)
def test_what_cannot_be_read_is_left_out_and_said(config, name):
    outline, reason = BAD[name]
    cfg = config(outline)
    notes = check_data(cfg, ['train', 'val'])
    assert sum('1 of 4 objects left out' in note and reason in note for note in notes) == 1  # of one file
    for file in (cfg.train_dataloader.dataset.ann_file, cfg.val_evaluator.ann_file):
        coco = COCO(file)
        assert [one['image_id'] for one in coco.anns.values()] == [2, 3, 4]
        assert all(coco.annToMask(one).any() for one in coco.anns.values())


def test_of_an_outline_in_parts_the_rest_is_used(config):
    cfg = config([SQUARE, [1, 2, 3, 4], [5, 5]])
    notes = check_data(cfg, ['train'])
    assert any('2 polygons of outlines cannot be read and are left out' in note for note in notes)
    kept = json.loads(Path(cfg.train_dataloader.dataset.ann_file).read_text())['annotations']
    assert len(kept) == 4 and kept[0]['segmentation'] == [SQUARE]


def test_without_masks_nobody_looks_at_outlines(config):
    cfg = config('anything', with_mask=False)
    assert not any('outline' in note for note in check_data(cfg, ['train', 'val']))
    assert cfg.train_dataloader.dataset.ann_file == 'all.json'
