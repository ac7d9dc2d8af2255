"""The commands as torchrun starts them."""

import json
import os

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from processes import run_in_processes
from toy import BACKBONES, write_weights

from mmest.cli import main
from mmest.configs import configs_root

pytest.importorskip('mmseg')

CONFIG = """
_base_ = ['{configs}/_base_/models/light-segformer.py',
          '{configs}/_base_/datasets/folder_segmentation.py',
          '{configs}/_base_/schedules/adamw_short_segmentation.py']
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(_delete_=True, type='TunedBackbone', tuning=dict(type='EST'), backbone=dict({backbone},
        init_cfg=dict(type='Pretrained', checkpoint='{weights}'))),
    decode_head=dict(in_channels=[16, 32, 64, 128], in_index=[0, 1, 2, 3], num_classes=2))
train_dataloader = dict(num_workers=0, batch_size=1, dataset=dict(
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='PackSegInputs')]))
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
train_cfg = dict(max_iters=4, val_interval=4)
param_scheduler = []
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
"""


def command(rank, data, *words):
    os.environ['MMEST_DATA'] = str(data)
    init_default_scope('mmseg')
    main(list(words))


def test_two_processes_train_and_score_as_one_does(tmp_path, monkeypatch, capsys):
    """Five images to score, so that one process has one more."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 4), ('val', 5)):
        for kind, colours, channels in (('images', 256, 3), ('masks', 2, 1)):
            (tmp_path / kind / split).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(colours, size=(64, 64, channels), dtype=np.uint8)
                cv2.imwrite(str(tmp_path / kind / split / f'{i}.png'), pixels)
    weights, config = write_weights('swin_mmseg', tmp_path), tmp_path / 'tiny.py'
    backbone = ', '.join(f'{key}={value!r}' for key, value in BACKBONES['swin_mmseg'].items())
    config.write_text(CONFIG.format(configs=configs_root(), backbone=backbone, weights=weights))
    work = tmp_path / 'work'
    run_in_processes(command, 2, tmp_path / 'a', tmp_path, 'train', str(config), '--work-dir', str(work), '--verbose')
    checkpoint = str(work / 'iter_4.pth')
    assert torch.load(checkpoint)['meta']['iter'] == 4
    score = ['test', str(config), checkpoint, '--work-dir', str(work), '--out']
    run_in_processes(command, 2, tmp_path / 'b', tmp_path, *score, str(tmp_path / 'two.json'))
    monkeypatch.setenv('MMEST_DATA', str(tmp_path))
    main([*score, str(tmp_path / 'one.json')])
    one, two = (json.loads((tmp_path / name).read_text()) for name in ('one.json', 'two.json'))
    one, two = ({name: value for name, value in found.items() if 'time' not in name} for found in (one, two))
    assert one == two and 0 < one['mIoU'] < 100
