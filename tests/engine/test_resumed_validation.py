"""What validations gave goes on with a resumed training: the best checkpoint, its score, early stopping."""

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import METRICS
from mmengine.runner import IterBasedTrainLoop, Runner
from toy import METHODS, ToyModel, runner_cfg, write_weights

from mmest.checkpoints import files
from mmest.engine.missed_validation import MissedValidation
from mmest.engine.resume import latest_complete_checkpoint
from mmest.engine.training_guard import InvalidTraining


@pytest.fixture(scope='module')
def swin(tmp_path_factory):
    return write_weights('swin', tmp_path_factory.mktemp('weights'))


class Scores(BaseMetric):
    """Gives the scores that a test wants, one a validation."""

    left: list[float] = []

    def process(self, data_batch, data_samples) -> None:
        self.results.append(1)

    def compute_metrics(self, results: list) -> dict:
        return dict(score=Scores.left.pop(0))


class Stop(Hook):
    """Interrupts where a test wants."""

    priority = 'HIGHEST'

    def __init__(self, stage: str, step: int) -> None:
        setattr(self, stage, lambda runner, *args, **kwargs: self._stop(runner, step))

    def _stop(self, runner, step: int) -> None:
        if runner.iter == step:
            raise KeyboardInterrupt


@pytest.fixture
def train(swin, monkeypatch):
    """Trains eight steps, with a checkpoint and a validation every two, and gives the runner."""
    METRICS.register_module(name='Scores', module=Scores, force=True)
    monkeypatch.setattr(ToyModel, 'val_step', lambda self, data: [{}], raising=False)

    def call(work_dir: Path, scores=(), resume: Path | None = None, hooks=(), keep: int = 2, stop=None, **more):
        Scores.left = list(scores)
        changes = dict(resume=True, load_from=str(resume)) if resume else {}
        cfg = runner_cfg('swin', METHODS['est'], swin, work_dir, **changes)
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=8, val_interval=2)
        cfg.param_scheduler, cfg.log_processor = [], dict(by_epoch=False)
        cfg.val_dataloader = dict(cfg.train_dataloader, sampler=dict(type='DefaultSampler', shuffle=False))
        cfg.val_cfg, cfg.val_evaluator = dict(), dict(type='Scores')
        cfg.default_hooks.checkpoint = dict(
            type='CheckpointHook', by_epoch=False, interval=2, max_keep_ckpts=keep, save_best='score', rule='greater'
        )
        cfg.custom_hooks = [*cfg.custom_hooks, *hooks]
        for name, value in more.items():
            part, _, key = name.rpartition('.')
            (cfg[part] if part else cfg)[key] = value
        runner = Runner.from_cfg(cfg)
        if stop:
            runner.register_hook(stop)
        runner.train()
        assert not Scores.left, 'a validation is missing'
        return runner

    return call


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob('*.pth'))


def test_a_copy_of_a_run_is_resumed_from_its_own_files(train, tmp_path):
    orig, copy = tmp_path / 'orig', tmp_path / 'copy'
    with pytest.raises(KeyboardInterrupt):
        train(orig, [0.1, 0.3], stop=Stop('after_train_iter', 5))
    shutil.copytree(orig, copy)
    before = {path: path.read_bytes() for path in orig.glob('*.pth')}
    checkpoint = latest_complete_checkpoint(copy)
    assert checkpoint == copy / 'iter_4.pth'
    runner = train(copy, [0.4, 0.2], checkpoint)
    assert names(copy) == ['best_score_iter_6.pth', 'iter_6.pth', 'iter_8.pth']
    assert runner.message_hub.get_info('best_ckpt') == str(copy / 'best_score_iter_6.pth')
    assert {path: path.read_bytes() for path in orig.glob('*.pth')} == before


def test_a_run_that_goes_on_elsewhere_has_a_best_checkpoint_there(train, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / 'orig', [0.1, 0.3], stop=Stop('after_train_iter', 5))
    runner = train(tmp_path / 'new', [0.1, 0.2], tmp_path / 'orig' / 'iter_4.pth')
    assert runner.message_hub.get_info('best_ckpt') == str(tmp_path / 'new' / 'best_score_iter_8.pth')
    assert names(tmp_path / 'orig') == ['best_score_iter_4.pth', 'iter_2.pth', 'iter_4.pth']


@pytest.mark.parametrize('keep', [1, 2])
def test_the_last_good_checkpoint_outlives_a_training_that_diverges(train, tmp_path, keep):
    class Spoil(Hook):
        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
            if runner.iter == 5:
                runner.model.head[0].weight.data.view(-1)[0] = float('nan')

    with pytest.raises(InvalidTraining, match='no checkpoint of it is written'):
        train(tmp_path, [0.1, 0.3], keep=keep, stop=Spoil())
    assert names(tmp_path) == ['best_score_iter_4.pth', *['iter_2.pth', 'iter_4.pth'][-keep:]]
    assert latest_complete_checkpoint(tmp_path) == tmp_path / 'iter_4.pth'


@pytest.mark.parametrize('full', ['iter_6', 'best_score_iter_6'])
def test_a_full_disk_takes_no_checkpoint_that_there_is(train, tmp_path, monkeypatch, full):
    write_bytes = files.write_bytes

    def fill(path, *args, **kwargs):
        if path.stem == full:
            raise OSError(errno.ENOSPC, 'No space left on device')
        write_bytes(path, *args, **kwargs)

    monkeypatch.setattr(files, 'write_bytes', fill)
    with pytest.raises(OSError, match='No space left'):
        train(tmp_path, [0.1, 0.3, 0.5][: 2 + full.startswith('best')], keep=1, stop=None)
    assert 'best_score_iter_4.pth' in names(tmp_path)
    monkeypatch.undo()
    assert latest_complete_checkpoint(tmp_path) == tmp_path / ('iter_4.pth' if full == 'iter_6' else 'iter_6.pth')


def test_a_best_checkpoint_that_is_gone_is_not_the_best(train, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, [0.1, 0.3], stop=Stop('after_train_iter', 5))
    (tmp_path / 'best_score_iter_4.pth').unlink()
    runner = train(tmp_path, [0.1, 0.2], tmp_path / 'iter_4.pth')
    assert runner.message_hub.get_info('best_ckpt') == str(tmp_path / 'best_score_iter_8.pth')
    assert names(tmp_path) == ['best_score_iter_8.pth', 'iter_6.pth', 'iter_8.pth']


def curve(runner: Runner) -> list[float]:
    return runner.message_hub.get_scalar('val/score').data[0].tolist()


@pytest.mark.parametrize('step', [4, 8])
def test_an_interrupted_validation_comes_first(train, tmp_path, step):
    scores = [0.1, 0.5, 0.2, 0.7]
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, scores[: step // 2 - 1], stop=Stop('before_val', step))
    runner = train(tmp_path, scores[step // 2 - 1 :], latest_complete_checkpoint(tmp_path))
    assert curve(runner) == scores
    assert names(tmp_path) == ['best_score_iter_8.pth', 'iter_6.pth', 'iter_8.pth']


def test_what_was_validated_is_not_validated_again(train, tmp_path):
    train(tmp_path, [0.1, 0.2, 0.3, 0.4])
    assert curve(train(tmp_path, [], tmp_path / 'iter_8.pth')) == [0.1, 0.2, 0.3, 0.4]
    assert curve(train(tmp_path, [0.5], tmp_path / 'iter_6.pth')) == [0.1, 0.2, 0.3, 0.5]


@pytest.mark.parametrize('epoch', [1, 2])
def test_an_interrupted_validation_of_a_training_by_epochs(train, tmp_path, epoch):
    loop = dict(train_cfg=dict(by_epoch=True, max_epochs=2), log_processor=dict(by_epoch=True))
    loop['default_hooks.checkpoint'] = dict(type='CheckpointHook', interval=1, save_best='score', rule='greater')
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, [0.1, 0.2][: epoch - 1], stop=Stop('before_val', 3 * epoch), **loop)
    runner = train(tmp_path, [0.1, 0.2][epoch - 1 :], tmp_path / f'epoch_{epoch}.pth', **loop)
    assert curve(runner) == [0.1, 0.2] and (tmp_path / 'best_score_epoch_2.pth').is_file()


def patience(number: int) -> dict:
    return dict(type='EarlyStoppingHook', monitor='score', rule='greater', min_delta=1e-9, patience=number)


def test_early_stopping_counts_on(train, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, [0.5, 0.3], hooks=[patience(2)], stop=Stop('after_train_iter', 5))
    runner = train(tmp_path, [0.3, 0.4], tmp_path / 'iter_4.pth', hooks=[patience(2)])
    assert runner.iter == 6 and curve(runner) == [0.5, 0.3, 0.4]


def test_what_early_stopping_has_ended_stays_ended(train, tmp_path):
    assert train(tmp_path, [0.5, 0.3, 0.4], hooks=[patience(2)]).iter == 6
    assert train(tmp_path, [0.4], tmp_path / 'iter_6.pth', hooks=[patience(2)]).iter == 6
    longer = train(tmp_path, [0.4, 0.6], tmp_path / 'iter_6.pth', hooks=[patience(3)])
    assert longer.iter == 8 and longer.message_hub.get_info('best_score') == 0.6


def test_a_training_that_has_stopped_early_begins_no_step(train, tmp_path):
    """Its last checkpoint has all scores where one was written after the last validation."""
    train(tmp_path, [0.5, 0.4, 0.3, 0.6])
    runner = train(tmp_path, [], tmp_path / 'iter_8.pth', hooks=[dict(patience(9), stopping_threshold=0.55)])
    assert runner.train_loop.stop_training and curve(runner) == [0.5, 0.4, 0.3, 0.6]


@pytest.mark.parametrize(
    'step, due',
    [(0, False), (2, False), (4, False), (6, True), (8, True), (9, False), (12, True), (14, False), (15, True)],
)
def test_a_validation_is_made_up_for_only_where_the_loop_would_validate(step, due):
    """Here from step 5 on, every two steps up to step 10, then every four, and at the end."""
    loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    loop._iter, loop._max_iters, loop.val_begin, loop.val_interval = step, 15, 5, 2
    loop.dynamic_milestones, loop.dynamic_intervals = [0, 10], [2, 4]
    said = dict(latest_validation=None)
    runner = SimpleNamespace(
        iter=step, train_loop=loop, val_loop=object(), message_hub=SimpleNamespace(get_info=said.get)
    )
    for latest in (None, step - 1, step):
        said['latest_validation'] = latest
        hook = MissedValidation()
        hook.before_train(runner)
        assert hook._missed == (due and latest != step)
