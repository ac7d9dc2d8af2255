"""Steps are measured and planned at the size that a config trains at."""

import argparse

import pytest
from mmengine.config import Config

from mmest.cli._options import add_size, size_of
from mmest.configs import open_config
from mmest.prediction.training_scale import shown_in_training

RESIZE = dict(type='Resize', scale=(1333, 800), keep_ratio=True)


def of(*steps: dict, **preprocessor) -> Config:
    loader = dict(dataset=dict(type='RepeatDataset', dataset=dict(type='CocoDataset', pipeline=list(steps))))
    return Config(dict(model=dict(data_preprocessor=preprocessor), train_dataloader=loader))


@pytest.mark.parametrize(
    ('name', 'size'),
    [
        ('detection/dior/faster-rcnn', (800, 800)),
        ('detection/dota/retinanet', (1024, 1024)),
        ('detection/hrplanes/retinanet', (192, 192)),
        ('segmentation/isaid/upernet', (896, 896)),
        ('segmentation/loveda/segformer', (512, 512)),
        ('segmentation/dubai/segformer', (256, 256)),
    ],
)
def test_shipped_configs_say_what_they_train_at(name, size):
    assert shown_in_training(open_config(name)) == size


@pytest.mark.parametrize(
    ('steps', 'size'),
    [
        ([RESIZE], (800, 1333)),
        ([dict(type='mmdet.RandomChoiceResize', scales=[(1333, 640), (1333, 672), (1333, 704)])], (672, 1333)),
        ([dict(type='RandomChoice', transforms=[[RESIZE], [dict(RESIZE, scale=(400, 600))]])], (800, 1333)),
        ([RESIZE, dict(type='RandomCrop', crop_size=(384, 320))], (320, 384)),
        ([RESIZE, dict(type='RandomCrop', crop_size=(0.5, 0.5), crop_type='relative')], (800, 1333)),
        ([dict(type='RandomCrop', crop_size=640), dict(type='RandomFlip')], (640, 640)),
        ([dict(type='FixShapeResize', width=300, height=200)], (200, 300)),
        ([dict(type='Resize', scale_factor=0.5)], None),
        ([dict(type='LoadImageFromFile')], None),
        ([], None),
    ],
)
def test_pipelines_say_what_the_network_is_shown(steps, size):
    assert shown_in_training(of(*steps)) == size


def test_padding_counts():
    assert shown_in_training(of(RESIZE, pad_size_divisor=32)) == (800, 1344)
    assert shown_in_training(of(dict(type='RandomCrop', crop_size=(50, 50)), pad_size_divisor=32)) == (64, 64)


def test_the_option_goes_before_the_config_and_512_stands_where_neither_says():
    parser = argparse.ArgumentParser()
    add_size(parser, 'image size')
    asked, silent = parser.parse_args(['--size', '96', '64']), parser.parse_args([])
    assert size_of(asked, of(RESIZE)) == (96, 64)
    assert size_of(silent, of(RESIZE)) == (800, 1333) and size_of(silent, of()) == (512, 512)
