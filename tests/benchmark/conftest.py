"""Data and configs that train in seconds."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from few_records import memory, training

from mmest.benchmark import data_digest
from mmest.configs import configs_root
from mmest.datasets.synthetic import write_dataset

SMALL = """
_base_ = '{base}'
model = dict(backbone=dict(allow_random=True, backbone=dict(init_cfg=None, depths=[1, 1, 1, 1])))
train_dataloader = dict(batch_size=2)
train_cfg = dict(max_iters=3, val_interval=3)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=3, save_optimizer=True))
"""


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('demo')
    write_dataset(root / 'data', dict(target=dict(train=24, val=3)), size=64, workers=1)
    return root


@pytest.fixture
def config(data, tmp_path, monkeypatch):
    monkeypatch.setenv('MMEST_DEMO_DIR', str(data))

    def write(name: str) -> Path:
        path = tmp_path / f'{name}.py'
        path.write_text(SMALL.format(base=configs_root() / 'demo' / f'{name}.py'))
        return path

    return write


@pytest.fixture
def own_data(config, data, tmp_path, monkeypatch):
    """A copy of the data, which configs train on."""
    shutil.copytree(data, tmp_path / 'own')
    monkeypatch.setenv('MMEST_DEMO_DIR', str(tmp_path / 'own'))
    return tmp_path / 'own' / 'data' / 'target'


@pytest.fixture
def relabel(own_data):
    """Corrects masks or boxes of the training images in their place."""

    def correct(name: str) -> None:
        data_digest._known.clear()  # as a later process has it
        if name.startswith('fpn'):
            for mask in (own_data / 'masks' / 'train').iterdir():
                cv2.imwrite(str(mask), np.ones((64, 64), np.uint8))
            return
        path = own_data / 'annotations' / 'train.json'
        content = json.loads(path.read_text())
        for annotation in content['annotations']:
            annotation['bbox'][2] += 1
        path.write_text(json.dumps(content))

    return correct


@pytest.fixture
def folder(tmp_path):
    """Records of three methods on two data sets."""
    records = tmp_path / 'records'
    records.mkdir()
    for dataset, scores in dict(
        sea=dict(full=[0.5, 0.6], est=[0.4, 0.5], lora=[0.45]), land=dict(full=[0.3], est=[0.35])
    ).items():
        for method, values in scores.items():
            for seed, value in enumerate(values):
                (records / f'{dataset}_{method}_{seed}.json').write_text(
                    json.dumps(training(dataset, method, seed, value))
                )
    for method, peak in dict(full=100 * 2**20, est=25 * 2**20).items():
        (records / f'memory_{method}.json').write_text(json.dumps(memory(method, peak)))
    broken = dict(memory('lora', 1), failed=True, error=['Traceback', 'RuntimeError: too wide'])
    del broken['tunings']
    (records / 'memory_lora.json').write_text(json.dumps(broken))
    (records / 'time.json').write_text(
        json.dumps(
            dict(
                config='configs/detection/sea/net_small_est.py',
                size=[64, 64],
                batch_size=2,
                precision='fp32',
                device='cpu',
                hardware='a processor',
                seconds=dict(full=[2.0, 1.0, 9.0], est=[1.0, 1.5, 0.1]),
            )
        )
    )
    return records
