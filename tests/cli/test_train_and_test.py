"""mmest train and mmest test: sentences instead of tracebacks, and a whole training."""

import errno
import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from mmest.configs import configs_root, open_config
from mmest.engine import launch
from mmest.engine.work_folder import let_go
from mmest.report.page import write_report
from mmest.report.run import read_run

CONFIG = 'mmest::segmentation/custom/upernet_r50'

pytest.importorskip('mmseg')


@pytest.fixture
def run(mmest):
    """Runs a command that should refuse; returns its sentence."""
    return lambda *words: str(mmest(*words))


def test_unknown_config_suggests_near_names(run):
    said = run('train', 'configs/segmentation/custom/upernet_r50_set.py')
    assert said.startswith('train: There is no config') and 'segmentation/custom/upernet_r50_est' in said


def test_torch_launch_may_number_the_processes(run):
    assert 'There is no config "nothing"' in run('train', '--local-rank=0', 'nothing', '--launcher', 'none')


@pytest.mark.parametrize(
    'content, sentence',
    [
        ('x = (', 'cannot be read: SyntaxError'),
        ('x = 1 / 0', 'cannot be read: ZeroDivisionError'),
        ("tuning = dict(type='EST')", 'holds no model: it is a part that others build on'),
        (
            "model = dict(backbone=dict(type='TunedBackbone'))",
            'names no tuning method. Pass --tuning NAME, one of adapter, adaptformer, ',
        ),
        ("model = dict(type='X')", 'has no train_dataloader, train_cfg, optim_wrapper. Add a data set'),
    ],
)
def test_configs_that_cannot_be_trained(run, tmp_path, content, sentence):
    (tmp_path / 'config.py').write_text(content)
    assert sentence in run('train', str(tmp_path / 'config.py'))


def test_options_that_do_not_fit(run, capsys):
    assert 'do not fit' in run('train', CONFIG, '--cfg-options', 'train_dataloader.batch_size.x=2')
    run('train', CONFIG, '--cfg-options', 'batch_size')
    assert 'takes KEY=VALUE pairs' in capsys.readouterr().err


def test_backbone_of_a_framework_that_is_not_installed(run, monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmpretrain', None)
    said = run('train', 'mmest::segmentation/loveda/upernet_convnext-b')
    assert 'is for mmpretrain, which cannot be imported' in said and "pip install 'mmest[mmpretrain]'" in said


def test_unknown_tuning_lists_them(run):
    said = run('train', CONFIG, '--tuning', 'estt')
    assert 'no tuning method "estt"' in said and 'frozen' in said


def test_missing_data_names_folder_and_option(run, monkeypatch, tmp_path):
    monkeypatch.setenv('MMEST_DATA', str(tmp_path / 'mine'))
    said = run('train', CONFIG)
    assert str(tmp_path / 'mine') in said and 'MMEST_DATA' in said and 'data_root=FOLDER' in said


def test_missing_weights(run, tmp_path):
    write_pairs(tmp_path)
    said = run(
        'train',
        CONFIG,
        '--cfg-options',
        f'train_dataloader.dataset.data_root={tmp_path}',
        f'val_dataloader.dataset.data_root={tmp_path}',
        'model.backbone.backbone.init_cfg.checkpoint=gone.pth',
    )
    assert 'pretrained weights' in said and 'gone.pth are not there' in said


def test_weights_of_another_backbone(run, tmp_path):
    write_pairs(tmp_path)
    torch.save({'fc.weight': torch.zeros(3)}, tmp_path / 'other.pth')
    said = run(
        'train',
        CONFIG,
        '--cfg-options',
        f'train_dataloader.dataset.data_root={tmp_path}',
        f'val_dataloader.dataset.data_root={tmp_path}',
        f'model.backbone.backbone.init_cfg.checkpoint={tmp_path}/other.pth',
    )
    assert 'covers 0.00%' in said and 'belongs to another backbone' in said


@pytest.mark.parametrize(
    'option, sentence',
    [
        ('tuning.taps=blok', "taps should be 'block'"),
        ('tuning.tap=block', 'EST takes no argument "tap". Did you mean taps'),
        ('backbone.type=ResNot', 'cannot be built: ResNot is not in the'),
    ],
)
def test_backbones_that_cannot_be_built(run, tmp_path, capfd, option, sentence):
    write_pairs(tmp_path)
    torch.save({}, tmp_path / 'weights.pth')
    said = run(
        'train',
        CONFIG,
        '--cfg-options',
        f'train_dataloader.dataset.data_root={tmp_path}',
        f'val_dataloader.dataset.data_root={tmp_path}',
        f'model.backbone.{option}',
        f'model.backbone.backbone.init_cfg.checkpoint={tmp_path}/weights.pth',
    )
    assert re.search(sentence, said)
    assert 'System environment' not in ''.join(capfd.readouterr()), 'the log of a runner would bury it'


def test_processes_on_the_cpu_normalise_each_their_batch(monkeypatch):
    """Torch synchronises BatchNorm between CUDA devices only."""
    cfg = open_config(CONFIG)
    assert cfg.model.decode_head.norm_cfg.type == 'SyncBN'
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(torch.distributed, 'init_process_group', lambda backend: None)
    parts = dict.fromkeys(('_train_dataloader', '_val_dataloader', '_test_dataloader'))
    parts.update(model=torch.nn.Identity(), hooks=[])
    monkeypatch.setattr(launch.Runner, 'from_cfg', lambda cfg: SimpleNamespace(**parts))
    launch.build_runner(cfg, 'pytorch')
    assert 'SyncBN' not in str(cfg.model)


def test_missing_checkpoint(run):
    said = run('test', CONFIG, 'gone.pth')
    assert said == 'test: There is no checkpoint "gone.pth".'


def test_a_test_without_a_score_says_so(run, capsys, monkeypatch, tmp_path):
    (tmp_path / 'model.pth').touch()
    monkeypatch.setattr('mmest.cli.test.run_test', lambda *_: {})
    run('test', CONFIG, tmp_path / 'model.pth', '--work-dir', tmp_path)
    assert capsys.readouterr().out == 'No score, as where a model detects nothing.\n'


def test_a_score_of_what_is_not_there_is_a_dash_and_the_classes_are_in_the_log(run, capsys, monkeypatch, tmp_path):
    (tmp_path / 'model.pth').touch()
    scores = {'coco/bbox_mAP': 0.5, 'coco/bbox_mAP_s': -1.0}
    monkeypatch.setattr('mmest.cli.test.run_test', lambda *_: scores)
    run('test', CONFIG, tmp_path / 'model.pth', '--work-dir', tmp_path, '--out', tmp_path / 'metrics.json')
    said = capsys.readouterr().out
    assert re.search(r'bbox_mAP +│ +0.5 ', said) and re.search(r'bbox_mAP_s +│ +– ', said)
    assert f'Scores of each class, where the metric has them: {tmp_path}/test.log\n' in said
    assert json.loads((tmp_path / 'metrics.json').read_text()) == scores


def test_resume_from_a_file_that_is_not_whole(run, tmp_path):
    write_pairs(tmp_path)
    (tmp_path / 'half.pth').write_bytes(b'PK\3\4 half of a checkpoint')
    said = run(
        'train',
        CONFIG,
        '--resume',
        str(tmp_path / 'half.pth'),
        '--cfg-options',
        f'train_dataloader.dataset.data_root={tmp_path}',
        f'val_dataloader.dataset.data_root={tmp_path}',
        'model.backbone.backbone.init_cfg.checkpoint=open-mmlab://resnet50_v1c',
    )
    assert 'half.pth" is not there, or is not a complete checkpoint' in said


def test_a_resume_with_nothing_to_resume_from_starts_where_the_config_says(mmest, tiny, monkeypatch, tmp_path):
    trained = []
    monkeypatch.setattr('mmest.cli.train.run_training', lambda cfg, *args: trained.append(cfg))
    options = ['--work-dir', tmp_path / 'work', '--cfg-options', 'load_from=mine.pth']
    assert mmest('train', tiny, '--resume', *options) == 0
    (cfg,) = trained
    assert (cfg.resume, cfg.load_from) == (False, 'mine.pth')


def test_a_folder_of_another_run_is_left_as_it_is(mmest, tiny, tmp_path, monkeypatch):
    """Own data is not prepared into it, and a mistyped path removes nothing."""
    monkeypatch.chdir(tmp_path)
    work_dir = tmp_path / 'work'
    work_dir.mkdir()
    (work_dir / 'iter_9.pth').write_text('earlier')
    write_pairs(tmp_path / 'own')
    own = ['train', '--data', tmp_path / 'own', '--work-dir', work_dir]
    assert 'work holds another run: iter_9.pth' in str(mmest(*own))
    gone = ['--cfg-options', 'val_dataloader.dataset.data_root=gone']
    assert 'gone' in str(mmest('train', tiny, '--work-dir', work_dir, '--overwrite', *gone))
    start = ['--cfg-options', f'load_from={work_dir}/iter_9.pth']
    assert 'which --overwrite would remove' in str(mmest('train', tiny, '--work-dir', work_dir, '--overwrite', *start))
    with monkeypatch.context() as patch:
        patch.setattr('fcntl.lockf', locked)
        let_go(work_dir)
        for words in (own, ['train', tiny, '--work-dir', work_dir, '--overwrite'], [*own, '--resume']):
            assert f'Another training runs in {work_dir}' in str(mmest(*words))
    assert not (work_dir / 'data').exists()
    assert (work_dir / 'iter_9.pth').read_text() == 'earlier'


def locked(*_):
    raise BlockingIOError(errno.EAGAIN, 'locked')


def write_pairs(folder: Path, size: int = 64) -> None:
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        for kind in ('images', 'masks'):
            (folder / kind / split).mkdir(parents=True)
        for i in range(2):
            cv2.imwrite(
                str(folder / 'images' / split / f'{i}.png'), rng.integers(256, size=(size, size, 3), dtype=np.uint8)
            )
            cv2.imwrite(str(folder / 'masks' / split / f'{i}.png'), rng.integers(2, size=(size, size), dtype=np.uint8))


def test_train_resume_and_test_end_to_end(mmest, capfd, monkeypatch, tmp_path):
    """Two iterations on two images, one more after resuming, then metrics and pictures."""
    write_pairs(tmp_path / 'data')
    monkeypatch.setenv('MMEST_DATA', str(tmp_path / 'data'))
    monkeypatch.chdir(tmp_path)
    config = tmp_path / 'tiny.py'
    config.write_text(f"""
_base_ = ['{configs_root()}/_base_/models/light-segformer.py',
          '{configs_root()}/_base_/datasets/folder_segmentation.py',
          '{configs_root()}/_base_/schedules/adamw_short_segmentation.py']
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(_delete_=True, type='TunedBackbone', allow_random=True, tuning=dict(type='EST'), backbone=dict(
        type='ResNet', depth=18, base_channels=16, out_indices=(0, 1, 2, 3), norm_eval=True)),
    decode_head=dict(in_channels=[16, 32, 64, 128], in_index=[0, 1, 2, 3], num_classes=2))
train_dataloader = dict(num_workers=0, batch_size=2, dataset=dict(
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'), dict(type='RandomFlip', prob=0.5),
              dict(type='PackSegInputs')]))
val_dataloader = dict(num_workers=0)
test_dataloader = dict(num_workers=0)
""")

    def call(*words) -> str:
        assert mmest(*words) == 0
        said = capfd.readouterr()
        return said.out + said.err

    work_dir = tmp_path / 'work'
    short = [
        '--work-dir',
        str(work_dir),
        '--cfg-options',
        'default_hooks.checkpoint.interval=1',
        'default_hooks.logger.interval=1',
        'train_cfg.val_interval=9',
    ]
    call('train', config, *short, 'train_cfg.max_iters=2')
    assert (work_dir / 'iter_2.pth').is_file()
    assert 'after step 2 of 3, from iter_2.pth' in call('train', config, '--resume', *short, 'train_cfg.max_iters=3')
    assert (work_dir / 'iter_3.pth').is_file()
    (kept,) = work_dir.glob('*.py')
    before = kept.read_text()
    call('test', kept, work_dir / 'iter_3.pth', '--work-dir', work_dir, '--cfg-options', 'test_dataloader.batch_size=2')
    assert kept.read_text() == before, 'a test leaves the config of the training'
    said = call(
        'test',
        config,
        str(work_dir / 'iter_3.pth'),
        '--out',
        str(tmp_path / 'metrics.json'),
        '--show-dir',
        str(tmp_path / 'pictures'),
    )
    assert f'Wrote images with predictions into {tmp_path}/pictures' in said.replace('\n', '')
    assert 'mIoU' in said and 'mmengine' not in said, 'libraries speak to the log'
    (log,) = tmp_path.glob('work_dirs/*/test.log')
    assert 'mmengine' in log.read_text()
    assert 0 <= json.loads((tmp_path / 'metrics.json').read_text())['mIoU'] <= 100
    assert sorted(path.name for path in (tmp_path / 'pictures').glob('[!.]*')) == ['0.png', '1.png']
    images = tmp_path / 'data' / 'images' / 'val'
    code = mmest('test', config, work_dir / 'iter_3.pth', '--show-dir', images)
    assert f'{images}/0.png and 1 more would be written over' in str(code)
    call('report', work_dir)
    assert not (work_dir / 'report.log').exists()
    page = (work_dir / 'report.html').read_text()
    assert 'Segmentation on 2 validation images' in page and 'class-1' in page
    assert page.count('data:image/jpeg') == 2 and page.count('<svg') >= 3
    assert 'src="http' not in page and 'href="http' not in page, 'the page has to be whole by itself'
    assert '<title>Report: work</title>' in page
    run = replace(read_run(work_dir), name='mine')
    write_report([run, run], tmp_path / 'said.html', lambda *_: None, 'A story', ['First <this>.', 'Then that.'])
    page = (tmp_path / 'said.html').read_text()
    assert '<title>A story</title>' in page and '<p>First &lt;this&gt;.</p>\n<p>Then that.</p>' in page
    assert page.count('data:image/jpeg') == 4, 'runs come one after the other'
    asked = []
    monkeypatch.setattr('mmest.cli.report.write_report', lambda runs, out, progress: asked.append((runs, out)))
    call('report', work_dir, work_dir, '--out', tmp_path / 'two.html')
    assert asked == [([read_run(work_dir)] * 2, tmp_path / 'two.html')]


def test_curves_go_where_an_option_says():
    cfg = open_config(CONFIG)
    launch.send_curves(cfg, ['tensorboard'])
    launch.send_curves(cfg, ['tensorboard', 'wandb'])
    backends = [backend['type'] for backend in cfg.visualizer.vis_backends]
    assert backends == ['LocalVisBackend', 'TensorboardVisBackend', 'WandbVisBackend']
    assert cfg.visualizer.type == 'SegLocalVisualizer'


def test_a_delta_is_not_scored_where_nothing_is_tuned(run, tiny, tmp_path):
    backbone = open_config(str(tiny)).model.backbone.backbone
    plain = f"_base_ = '{tiny}'\nmodel = dict(backbone={dict(_delete_=True, **backbone)!r})"
    (tmp_path / 'plain.py').write_text(plain)
    torch.save(dict(state_dict={'backbone.delta_info': torch.zeros(9, dtype=torch.uint8)}), tmp_path / 'delta.pth')
    said = run('test', tmp_path / 'plain.py', tmp_path / 'delta.pth', '--work-dir', tmp_path / 'test')
    assert 'The checkpoint is a delta, which lacks what is frozen in a tuned backbone' in said
