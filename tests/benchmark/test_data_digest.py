"""Whether two trainings had the same data, wherever it lies."""

import json
import os
import shutil

import pytest
from mmengine.config import Config

from mmest.benchmark.data_digest import content_digest, data_digest


def digests(path, root, monkeypatch):
    monkeypatch.setenv('MMEST_DEMO_DIR', str(root))
    cfg = Config.fromfile(path)
    dataset = cfg.train_dataloader.dataset
    return content_digest(dataset, cfg.default_scope), data_digest(dataset, cfg.default_scope)


@pytest.mark.parametrize('name', ['fpn_swin_est', 'retinanet_swin_est'])
def test_a_copy_elsewhere_is_the_same_data(name, config, data, tmp_path, monkeypatch):
    shutil.copytree(data, tmp_path / 'copy', copy_function=shutil.copyfile)  # with times of their own
    content, here = digests(config(name), data, monkeypatch)
    copied, there = digests(config(name), tmp_path / 'copy', monkeypatch)
    assert content == copied and len(content) == 16 and here != there


def test_a_larger_image_or_another_box_is_other_data(config, data, tmp_path, monkeypatch):
    before, _ = digests(config('retinanet_swin_est'), data, monkeypatch)
    for change in ('image', 'box'):
        root = tmp_path / change
        shutil.copytree(data, root)
        if change == 'image':
            path = next((root / 'data/target').rglob('train/*.png'))
            path.write_bytes(path.read_bytes() + b'more')
        else:
            path = root / 'data/target/annotations/train.json'
            content = json.loads(path.read_text())
            content['annotations'][0]['bbox'][0] += 1
            path.write_text(json.dumps(content))
        os.utime(path, (1, 1))
        after, _ = digests(config('retinanet_swin_est'), root, monkeypatch)
        assert after != before
