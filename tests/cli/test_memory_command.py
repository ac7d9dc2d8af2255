"""mmest memory: from a config to a table and a file, without data and without weights."""

import json
import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope

from mmest.checkpoints.named_pretrained import without_pretrained
from mmest.measure.memory.compare import compare_tunings
from mmest.measure.memory.report import memory_table
from mmest.measure.ready import prepare

pytest.importorskip('mmdet')

CONFIG = """
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(
        _delete_=True,
        type='TunedBackbone',
        backbone=dict(
            type='SwinTransformer', embed_dims=16, depths=(1, 1, 2, 1), num_heads=(1, 2, 2, 4),
            init_cfg=dict(type='Pretrained', checkpoint='https://nowhere.invalid/swin.pth')),
        tuning=dict(type='EST')),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32),
    bbox_head=dict(num_classes=3, in_channels=32, feat_channels=32, stacked_convs=1))
"""
METHODS = dict(full=dict(type='Full'), frozen=dict(type='Frozen'), est=dict(type='EST'))


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'tiny.py'
    path.write_text(CONFIG)
    return path


@pytest.fixture(autouse=True)
def scope_of_before():
    before = DefaultScope.get_current_instance()
    yield
    if before is not None:
        init_default_scope(before.scope_name)


def test_prints_a_table_and_writes_all_figures(mmest, capsys, config, tmp_path):
    out = tmp_path / 'new' / 'memory.json'
    command = [
        'memory',
        config,
        '--tunings',
        'full',
        'est',
        '--size',
        '65',
        '97',
        '--batch-size',
        '1',
        '--out',
        str(out),
        '--per-module',
        '2',
        '--pictures',
        str(tmp_path / 'pictures'),
    ]
    assert mmest(*command) == 0
    said = capsys.readouterr().out
    assert 'est' in said and '100.0%' in said
    record = json.loads(out.read_text())
    assert (record['size'], record['batch_size'], record['precision']) == ([65, 97], 1, 'fp32')
    assert record['config'] == str(config)
    assert record['versions']['torch']
    assert list(record['tunings']) == ['full', 'est']
    for row in record['tunings'].values():
        assert sum(row['attribution'].values()) == row['peak'] > 0
        assert sum(sum(module.values()) for module in row['modules'].values()) == row['peak']
    assert 'backbone.method' in said
    assert {path.name for path in (tmp_path / 'pictures').iterdir()} == {'tiny_full.png', 'tiny_est.png'}
    assert [path.name for path in out.parent.iterdir()] == ['memory.json']


@pytest.mark.parametrize(
    'command', [['plan', '--budget', '8GiB'], ['memory'], ['time', '--steps', '2', '--batch-size', '1']]
)
def test_a_table_names_the_backbone_that_was_swapped_in(mmest, capsys, command, tmp_path):
    name, *more = command
    words = [name, 'mmest::segmentation/dubai/segformer', '--backbone', 'r50-half', '--tunings', 'frozen', *more]
    assert mmest(*words, '--size', '64', '64', '--out', tmp_path / 'record.json') == 0
    assert 'mmest::segmentation/dubai/segformer --backbone r50-half' in re.sub(r'\s+', ' ', capsys.readouterr().out)
    assert 'r50-half' in (tmp_path / 'record.json').read_text()


def test_the_config_is_opened_once(mmest, config, monkeypatch):
    opened, fromfile = [], Config.fromfile
    monkeypatch.setattr(Config, 'fromfile', lambda path, *more, **options: opened.append(path) or fromfile(path))
    assert mmest('memory', config, '--tunings', 'frozen', '--batch-size', '1', '--size', '64', '64') == 0
    assert [str(path) for path in opened].count(str(config)) == 1


def test_methods_are_told_apart(config):
    names = []
    record = compare_tunings(Config.fromfile(config), METHODS, (64, 96), 1, done=lambda name, *_: names.append(name))
    assert names == list(METHODS)
    full, frozen, est = record['tunings'].values()
    assert full['share_of_full'] == 1
    assert frozen['share_of_full'] < est['share_of_full'] < 1
    for row in (frozen, est):
        assert row['attribution']['saved_backbone'] == 0
        assert row['parameters']['trained_in_heads'] == full['parameters']['trained_in_heads']
    assert frozen['attribution']['saved_side'] == frozen['parameters']['trained_by_method'] == 0
    assert est['attribution']['saved_side'] > 0
    assert full['parameters']['trained_by_method'] == full['parameters']['backbone']


def test_same_figures_every_time_and_shares_only_beside_full(config):
    cfg = Config.fromfile(config)
    before = cfg.pretty_text
    one, two = (compare_tunings(cfg, dict(est=METHODS['est']), (64, 64), 1) for _ in range(2))
    assert one == two
    assert one['tunings']['est']['share_of_full'] is None
    assert cfg.pretty_text == before
    assert memory_table(dict(config='tiny', **one)).row_count == 1


def test_est_backbone_is_measured_under_every_method(config):
    cfg = Config.fromfile(config)
    cfg.model.backbone.pop('tuning')
    cfg.model.backbone.update(type='ESTBackbone', taps='stage')
    record = compare_tunings(cfg, METHODS, (64, 64), 1)
    assert record == compare_tunings(Config.fromfile(config), METHODS, (64, 64), 1)


def test_no_weights_are_named():
    cfg = dict(
        pretrained='a',
        init_cfg=[dict(type='Pretrained', checkpoint='a'), dict(type='Kaiming')],
        neck=[dict(init_cfg=dict(type='Pretrained', checkpoint='b')), dict(init_cfg=dict(checkpoint='c'))],
    )
    left = dict(pretrained=None, init_cfg=[dict(type='Kaiming')], neck=[dict(init_cfg=None), dict(init_cfg=None)])
    assert without_pretrained(cfg) == left


def test_missing_weights_are_no_news(config, capsys):
    """They are left out on purpose; mmseg's Swin would print that training starts from scratch."""
    cfg = Config.fromfile(config)
    cfg.model.backbone.backbone.type = 'mmseg.SwinTransformer'
    prepare(cfg, dict(type='EST'), (64, 64))
    assert 'scratch' not in capsys.readouterr().out


def test_bad_input_is_a_sentence(mmest, config, tmp_path):
    cfg = Config.fromfile(config)
    with pytest.raises(ValueError, match='needs CUDA'):
        compare_tunings(cfg, METHODS, (64, 64), 1, precision='fp16')
    cfg.model.pop('backbone')
    with pytest.raises(ValueError, match='should have a model.backbone to tune, but has '):
        compare_tunings(cfg, METHODS, (64, 64), 1)
    assert 'nothing.py' in mmest('memory', tmp_path / 'nothing.py')
    assert 'no tuning method "ful"' in mmest('memory', config, '--tunings', 'ful')


@pytest.mark.parametrize(
    'command, step',
    [
        ('memory', 'mmest.measure.memory.compare.measure_training_step'),
        ('time', 'mmest.cli.time.alternating_step_times'),
    ],
)
def test_a_batch_of_one_that_a_head_cannot_norm_is_said(mmest, config, monkeypatch, command, step):
    def norm(*_, **__):
        torch.nn.BatchNorm2d(8)(torch.rand(1, 8, 1, 1))

    monkeypatch.setattr(step, norm)
    said = mmest(command, config, '--size', 32, 32, '--batch-size', 1, '--tunings', 'est')
    assert said.startswith(f'{command}: The head pools each image to one pixel') and 'take --batch-size 2' in said
