from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from toy import BACKBONES, write_weights

from mmest.cli import main
from mmest.configs import configs_root

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
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='RandomFlip', prob=0.5),
              dict(type='PackSegInputs')]))
val_dataloader = dict(num_workers=0, persistent_workers=False)
test_dataloader = dict(num_workers=0, persistent_workers=False)
train_cfg = dict(max_iters=4, val_interval=4)
param_scheduler = []
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
"""


@pytest.fixture
def mmest() -> Callable:
    """Runs ``mmest NAME ...`` in this process; returns its exit status: a sentence where it refuses."""

    def call(*args) -> object:
        try:
            main([str(arg) for arg in args])
        except SystemExit as end:
            return end.code
        return 0

    return call


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> Path:
    """The config of a segmentor that trains in seconds, on four noise images, and is scored on five."""
    rng = np.random.default_rng(0)
    for split, count in (('train', 4), ('val', 5)):
        for kind, colours, channels in (('images', 256, 3), ('masks', 2, 1)):
            (tmp_path / kind / split).mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(colours, size=(64, 64, channels), dtype=np.uint8)
                cv2.imwrite(str(tmp_path / kind / split / f'{i}.png'), pixels)
    monkeypatch.setenv('MMEST_DATA', str(tmp_path))
    weights, config = write_weights('swin_mmseg', tmp_path), tmp_path / 'tiny.py'
    backbone = ', '.join(f'{key}={value!r}' for key, value in BACKBONES['swin_mmseg'].items())
    config.write_text(CONFIG.format(configs=configs_root(), backbone=backbone, weights=weights))
    return config
