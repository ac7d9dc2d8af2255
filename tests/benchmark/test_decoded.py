"""Images decoded once are those that the reader gives."""

import copy
import os
import pickle

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmest.benchmark import decoded
from mmest.config_parts import parts_of
from mmest.pictures.transforms import LoadImage, use_reader


@pytest.fixture
def loaders(config):
    cfg = Config.fromfile(config('fpn_swin_est'))
    init_default_scope(cfg.default_scope)
    both = [copy.deepcopy(cfg[name].to_dict()) for name in ('train_dataloader', 'val_dataloader')]
    for loader in both:
        use_reader(loader, segments=True)
    return both


def test_pixels_are_the_same_and_files_are_opened_no_more(loaders, tmp_path, monkeypatch):
    before = [DATASETS.build(loader['dataset'])[0] for loader in loaders[1:]]
    decoded.share_decoded(loaders, tmp_path / 'images')
    assert len(list((tmp_path / 'images').iterdir())) == 2
    kept = DATASETS.build(loaders[0]['dataset'])
    path = kept.get_data_info(3)['img_path']
    transform = kept.pipeline.transforms[0]
    assert isinstance(transform, decoded.LoadDecodedImage)
    assert np.array_equal(transform(dict(img_path=path))['img'], LoadImage()(dict(img_path=path))['img'])
    assert np.array_equal(DATASETS.build(loaders[1]['dataset'])[0]['inputs'], before[0]['inputs'])
    monkeypatch.setattr(decoded, 'ImageFile', None)
    copied = pickle.loads(pickle.dumps(transform))
    assert len(pickle.dumps(transform)) < 1000 and copied(dict(img_path=path))['img'].shape == (64, 64, 3)
    copied(dict(img_path=path))['img'][:] = 0  # transforms may write
    assert copied(dict(img_path=path))['img'].any()


def test_a_worker_of_its_own_reads_other_images_too(loaders, tmp_path):
    decoded.share_decoded(loaders[1:], tmp_path / 'images')
    transform = pickle.loads(pickle.dumps(DATASETS.build(loaders[1]['dataset']).pipeline.transforms[0]))
    path = DATASETS.build(loaders[0]['dataset']).get_data_info(0)['img_path']
    assert np.array_equal(transform(dict(img_path=path))['img'], LoadImage()(dict(img_path=path))['img'])


@pytest.mark.parametrize('rule', [dict(scale=(0, 9)), dict(bands=(3, 2, 1))])
def test_loaders_with_a_rule_of_their_own_have_nothing_decoded(loaders, tmp_path, rule):
    for loader in loaders:
        for _, part in parts_of(loader):
            if part.get('type') == 'LoadImage':
                part.update(rule)
    before = copy.deepcopy(loaders)
    decoded.share_decoded(loaders, tmp_path / 'images')
    assert loaders == before and not (tmp_path / 'images').exists()


def test_a_second_job_finds_them(loaders, tmp_path, monkeypatch):
    again = copy.deepcopy(loaders)
    decoded.share_decoded(loaders, tmp_path / 'images')
    monkeypatch.setattr(decoded, '_decode', None)
    decoded.share_decoded(again, tmp_path / 'images')
    assert again == loaders


def test_large_data_sets_are_read_as_ever(loaders, tmp_path, monkeypatch):
    monkeypatch.setattr(decoded, 'MOST_BYTES', 1000)
    before = copy.deepcopy(loaders)
    decoded.share_decoded(loaders, tmp_path / 'images')
    assert loaders == before and not (tmp_path / 'images').exists()


def test_images_that_are_not_square_and_such_as_have_changed(tmp_path):
    for number, size in enumerate([(20, 30), (7, 5)]):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.random.default_rng(number).integers(0, 256, (*size, 3)))
    paths = [str(tmp_path / f'{number}.png') for number in range(2)]
    decoded._decode(paths, tmp_path / 'store')
    transform = decoded.LoadDecodedImage(str(tmp_path / 'store'))
    for path in paths:
        found, wanted = (load(dict(img_path=path)) for load in (transform, LoadImage()))
        assert np.array_equal(found.pop('img'), wanted.pop('img')) and found == wanted
    before = decoded._digest(paths)
    os.utime(paths[1], (1, 1))
    assert decoded._digest(paths) != before, 'changed in its place'
