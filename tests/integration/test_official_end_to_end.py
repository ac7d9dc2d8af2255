"""Per official data set: prepare, train two iterations, test, and the server's files, by the commands that the docs
name.
"""

import json
import runpy
import sys
import zipfile
from pathlib import Path

import official_trees as trees
import pytest
import torch
from toy import forget_instances

from mmest.configs import configs_root

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
DETECTION = """
_base_ = ['{root}/_base_/models/light-retinanet.py', '{root}/_base_/datasets/{data}_detection.py',
          '{root}/_base_/schedules/adamw_short_detection.py']
model = dict(
    backbone=dict(_delete_=True, type='TunedBackbone', allow_random=True, tuning=dict(type='EST'), backbone=dict(
        type='ResNet', depth=18, base_channels=16, out_indices=(1, 2), norm_eval=True)),
    neck=dict(_delete_=True, **_base_.fpn, in_channels=[32, 64], add_extra_convs='on_output'),
    bbox_head=dict(num_classes=_base_.num_classes), test_cfg=dict(score_thr=0.0))
# Pictures are seen small, for the time of the tests.
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (128, 128)
train_dataloader = dict(batch_size={batch}, num_workers=0, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
"""
SEGMENTATION = """
_base_ = ['{root}/_base_/models/light-segformer.py', '{root}/_base_/datasets/{data}_segmentation.py',
          '{root}/_base_/schedules/adamw_short_segmentation.py']
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(_delete_=True, type='TunedBackbone', allow_random=True, tuning=dict(type='EST'), backbone=dict(
        type='ResNet', depth=18, base_channels=16, out_indices=(0, 1, 2, 3), norm_eval=True)),
    decode_head=dict(in_channels=[16, 32, 64, 128], in_index=[0, 1, 2, 3], num_classes=_base_.num_classes))
# Crops are small, for the time of the tests.
train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = train_pipeline[3].crop_size = (128, 128)
train_dataloader = dict(batch_size={batch}, num_workers=0, dataset=dict(pipeline=train_pipeline))
train_cfg = dict(max_iters=2, val_interval=9)
default_hooks = dict(checkpoint=dict(interval=2))
"""
ORIENTED = """
_base_ = ['{root}/_base_/models/oriented-rcnn.py', '{root}/_base_/datasets/{data}_oriented.py',
          '{root}/_base_/schedules/adamw_12e_oriented.py']
model = dict(
    backbone=dict(_delete_=True, type='TunedBackbone', allow_random=True, tuning=dict(type='EST'), backbone=dict(
        type='ResNet', depth=18, base_channels=16, norm_eval=True)),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32),
    rpn_head=dict(in_channels=32, feat_channels=32),
    roi_head=dict(bbox_roi_extractor=dict(out_channels=32), bbox_head=dict(
        in_channels=32, fc_out_channels=32, num_classes=_base_.num_classes)),
    test_cfg=dict(rcnn=dict(score_thr=0.0, max_per_img=50)))
# Pictures are seen small, for the time of the tests.
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[3].scale = test_pipeline[1].scale = (128, 128)
train_dataloader = dict(batch_size={batch}, num_workers=0, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(num_workers=0, dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=1, val_interval=9)
"""
# The tool that prepares, the data set of the config, the config, its batch size, the checkpoint, a metric.
CASES = [
    ('dior', 'dior', DETECTION, 2, 'epoch_1', 'pascal_voc/mAP'),
    ('dota', 'dota', DETECTION, 1, 'epoch_1', 'dota/AP50'),
    ('dior_r', 'dior', ORIENTED, 2, 'epoch_1', 'pascal_voc/mAP'),
    ('dota', 'dota', ORIENTED, 1, 'epoch_1', 'dota/AP50'),
    ('potsdam', 'potsdam_six-classes', SEGMENTATION, 2, 'iter_2', 'mIoU'),
    ('vaihingen', 'vaihingen_five-classes', SEGMENTATION, 2, 'iter_2', 'mIoU'),
    ('loveda', 'loveda', SEGMENTATION, 2, 'iter_2', 'mIoU'),
    ('isaid', 'isaid', SEGMENTATION, 2, 'iter_2', 'mIoU'),
]


@pytest.fixture
def call(monkeypatch):
    """Runs a command in this process, which saves the imports of each."""

    def run(tool: str, *args) -> int:
        forget_instances()
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, args)])
        monkeypatch.syspath_prepend(str(TOOLS))
        try:
            runpy.run_path(str(TOOLS / tool), run_name='__main__')
        except SystemExit as end:
            return end.code
        return 0

    return run


@pytest.mark.parametrize(
    'name, data, text, batch, checkpoint, metric',
    CASES,
    ids=[case[0] + (' oriented' if case[2] is ORIENTED else '') for case in CASES],
)
def test_from_the_download_to_the_score(
    name, data, text, batch, checkpoint, metric, call, tmp_path, monkeypatch, capsys
):
    if text is ORIENTED:
        pytest.importorskip('mmrotate')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMEST_DATA', str(tmp_path / 'data'))
    trees.ALL[name](tmp_path / 'download')
    # Exit status 1: of Potsdam's and Vaihingen's tiles, which are known by name, most are missing.
    assert call(f'datasets/{name}.py', 'download', f'data/{name}', '--workers', 1) in (0, 1)
    config = tmp_path / 'config.py'
    config.write_text(text.format(root=configs_root(), data=data, batch=batch))
    quiet = ['--work-dir', 'work', '--cfg-options']
    assert call('train.py', config, *quiet, 'val_dataloader.num_workers=0') == 0
    assert torch.load(f'work/{checkpoint}.pth')['meta']['iter'] == 2
    arguments = [config, f'work/{checkpoint}.pth', '--out', 'metrics.json']
    assert call('test.py', *arguments, *quiet, 'test_dataloader.num_workers=0') == 0
    assert 'Scores of each class' in capsys.readouterr().out
    metrics = json.loads(Path('metrics.json').read_text())
    assert 0 <= metrics[metric] <= 100
    if name == 'dior':
        assert 'pascal_voc/AP50' in metrics  # COCO's metric says nothing where nothing was detected
    refused = call(
        'test.py',
        *arguments,
        '--submission',
        'submission',
        *quiet,
        'submission_dataloader.num_workers=0' if name in ('dota', 'loveda') else 'test_dataloader.num_workers=0',
    )
    if name not in ('dota', 'loveda'):
        assert 'has no submission_dataloader' in refused and not Path('submission').exists()
        return
    assert not refused
    said = capsys.readouterr().out
    assert 'submission/' in said and 'Scores of each class' not in said
    members = {path.name: zipfile.ZipFile(path).namelist() for path in Path('submission').iterdir()}
    if name == 'dota':
        assert {key: len(names) for key, names in members.items()} == {'Task1.zip': 15, 'Task2.zip': 15}
    else:
        assert members == {'Results.zip': ['4.png', '5.png']}
