"""A work folder is of one training: nothing of another is mixed with it, and nothing is removed before it can start."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from toy import METHODS, runner_cfg

from mmest.engine import work_folder
from mmest.engine.run import RunFailed, run_training
from mmest.engine.work_folder import hold, let_go, refuse_earlier_run, refuse_to_remove_the_start

EARLIER = (
    'epoch_1.pth',
    'epoch_7.pth',
    'best_mAP_epoch_7.pth',
    'last_checkpoint',
    '20260102_030405/vis_data/scalars.json',
)
MINE = 'best_mAP_epoch_2_whole.pth', 'model_whole.pth', 'notes.txt', 'config.py', '20240612_101500/1.jpg', 'a_b/c.txt'


@pytest.fixture
def work_dir(tmp_path):
    """The folder of an earlier run, with files of the user's."""
    for name in (*EARLIER, *MINE):
        path = tmp_path / 'work' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('earlier')
    return tmp_path / 'work'


@pytest.fixture
def train(work_dir, weights):
    """Trains for an epoch in that folder, in place of what is there."""

    def run(prepare=lambda cfg: None, **changes):
        cfg = runner_cfg('swin', METHODS['est'], weights['swin'], work_dir, epochs=1, **changes)
        prepare(cfg)
        run_training(cfg, 'none', overwrite=True)

    return run


def test_a_new_run_does_not_mix_with_another(work_dir, train, tmp_path):
    refuse_earlier_run(tmp_path / 'new')
    with pytest.raises(
        ValueError, match=r'holds another run: best_mAP_epoch_7.pth, epoch_1.pth, .*1 more.*--overwrite'
    ):
        refuse_earlier_run(work_dir)
    train()
    assert all((work_dir / name).read_text() == 'earlier' for name in MINE)
    assert {path.name for path in work_dir.glob('*.pth')} == {*MINE[:2], 'epoch_1.pth'}
    assert (work_dir / 'epoch_1.pth').stat().st_size > 100
    logs = [path.parent.parent.name for path in work_dir.glob('*/vis_data/scalars.json')]
    assert len(logs) == 1 and logs[0] not in EARLIER[-1], 'a report would take old losses for those of the new run'


@HOOKS.register_module(force=True)
class Refusal(Hook):
    """Refuses when all else is ready."""

    priority = 'VERY_LOW'

    def before_train(self, runner):
        raise ValueError('refused at the last moment')


TOO_LATE = [
    ('load_from', lambda cfg: cfg.merge_from_dict(dict(load_from='gone.pth'))),
    ('pretrained weights', lambda cfg: cfg.model.backbone.backbone.init_cfg.update(checkpoint='gone.pth')),
    ('no train_dataloader', lambda cfg: cfg.pop('train_dataloader')),
    ('NoSuchHook', lambda cfg: cfg.merge_from_dict(dict(custom_hooks=[dict(type='NoSuchHook')]))),
    ('no "learning_rate"', lambda cfg: cfg.optim_wrapper.optimizer.update(learning_rate=1)),
    ('random weights', lambda cfg: cfg.model.backbone.backbone.pop('init_cfg')),
    ('at the last moment', lambda cfg: cfg.custom_hooks.append(dict(type='Refusal'))),
]


@pytest.mark.parametrize('sentence, prepare', TOO_LATE, ids=[sentence for sentence, _ in TOO_LATE])
def test_a_training_that_cannot_start_removes_nothing(work_dir, train, sentence, prepare):
    with pytest.raises(RunFailed, match=sentence):
        train(prepare)
    assert all((work_dir / name).read_text() == 'earlier' for name in (*EARLIER, *MINE))


@pytest.mark.parametrize('named', ['load_from', 'init_cfg'])
@pytest.mark.parametrize('way', ['itself', 'link to it', 'it is a link', 'in the logs'])
def test_what_the_training_starts_from_is_not_removed(work_dir, weights, tmp_path, monkeypatch, named, way):
    monkeypatch.chdir(tmp_path)
    best = 'work/best_mAP_epoch_7.pth'
    if way == 'in the logs':
        best = 'work/20260102_030405/vis_data/copy.pth'
    shutil.copy(weights['swin'], tmp_path / best)
    if way == 'it is a link':
        (tmp_path / best).rename(tmp_path / 'elsewhere.pth')
        (tmp_path / best).symlink_to(tmp_path / 'elsewhere.pth')
    elif way == 'link to it':
        (tmp_path / 'link.pth').symlink_to(tmp_path / best)
        best = 'link.pth'
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], 'work')
    refuse_to_remove_the_start(cfg)
    if named == 'load_from':
        cfg.load_from = best
    else:
        cfg.model.backbone.backbone.init_cfg.checkpoint = best
    with pytest.raises(
        ValueError, match=f'starts from {best}, which --overwrite would remove. Take another --work-dir'
    ):
        refuse_to_remove_the_start(cfg)


HOLD = """
import os, sys, time
from mmest.engine.work_folder import hold
hold(sys.argv[1])
if not os.fork():  # as a process that loads data, which may outlive this one for a while
    time.sleep(60)
print('held', flush=True)
time.sleep(60)
"""
# What that comes to, without seconds of imports.
LOCK = """
import fcntl, sys, time
file = open(sys.argv[1] + '/.mmest_train.lock', 'a')
fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
print('held', flush=True)
time.sleep(60)
"""


@contextmanager
def other_process(folder, program=LOCK):
    """Holds a folder, until it is killed."""
    process = subprocess.Popen(
        [sys.executable, '-W', 'ignore', '-c', program, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline() == 'held\n'
        yield process
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # what it has forked too
        process.wait()
        process.stdout.close()


def test_a_folder_is_of_one_training_at_a_time(work_dir, train):
    with other_process(work_dir, HOLD) as other:
        for _ in range(2):
            with pytest.raises(RunFailed, match=f'Another training runs in {work_dir}: .*Take another --work-dir'):
                train()
        assert not (work_dir / 'train.log').exists(), 'that is the log of the other'
        assert all((work_dir / name).read_text() == 'earlier' for name in (*EARLIER, *MINE))
        other.kill()
        other.wait()
        train()  # though what the other has forked still runs
    assert (work_dir / 'epoch_1.pth').stat().st_size > 100


def test_a_training_lets_go_of_its_folder_at_its_end(work_dir, train):
    train()
    with pytest.raises(RunFailed):
        train(lambda cfg: cfg.custom_hooks.append(dict(type='Refusal')))
    with other_process(work_dir):
        pass


def test_processes_and_folders_that_do_not_meet(work_dir, tmp_path):
    hold(tmp_path / 'nowhere')
    assert not (tmp_path / 'nowhere').exists(), 'a training that is refused leaves no folder behind'
    try:
        for _ in range(2):  # looked at twice by one training
            hold(work_dir)
        with other_process(tmp_path):
            hold(work_dir / '..' / 'work')
    finally:
        let_go(work_dir)
    let_go(work_dir)


@pytest.mark.parametrize('number', [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_locks_holds_nothing_up(work_dir, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, 'lockf', refuse)
    hold(work_dir)
    assert work_dir.resolve() not in work_folder._held
