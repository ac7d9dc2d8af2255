"""A training ends in a result, in one sentence, or by Ctrl-C; the terminal stays quiet meanwhile."""

import errno
import re
import sys
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import HOOKS, METRICS
from toy import METHODS, runner_cfg, write_weights

from mmest.checkpoints.seal import broken
from mmest.engine.resume import latest_complete_checkpoint
from mmest.engine.run import RunFailed, run_training


@pytest.fixture(scope='module')
def swin(tmp_path_factory):
    return write_weights('swin', tmp_path_factory.mktemp('weights'))


@HOOKS.register_module(force=True)
class Trouble(Hook):
    """Raises what a test wants, in one iteration."""

    what: BaseException | None = None

    def __init__(self, iteration: int = 1) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter == self.iteration:
            raise self.what


@pytest.fixture
def cfg(swin, tmp_path):
    def make(**changes):
        cfg = runner_cfg('swin', METHODS['est'], swin, tmp_path / 'work', log_level='INFO', **changes)
        return cfg

    return make


def fails(cfg, **options) -> str:
    with pytest.raises(RunFailed) as failure:
        run_training(cfg, 'none', **options)
    said = str(failure.value)
    assert '\n' not in said
    return said


VALIDATION = dict(
    val_dataloader=dict(
        batch_size=4,
        num_workers=0,
        dataset=dict(type='ToyData'),
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
    ),
    val_cfg=dict(),
    val_evaluator=[dict(type='Brightness')],
)


@pytest.fixture
def validation(monkeypatch):
    """The toy model is given a validation whose metric rises, by as much as a test says."""
    from mmengine.evaluator import BaseMetric
    from toy import ToyModel

    class Brightness(BaseMetric):
        seen, rise = 0, 10.0

        def process(self, data_batch, data_samples) -> None:
            self.results.append(1)

        def compute_metrics(self, results: list) -> dict:
            Brightness.seen += 1
            return dict(mIoU=Brightness.rise * Brightness.seen, aAcc=50.0)

    METRICS.register_module(name='Brightness', module=Brightness, force=True)
    monkeypatch.setattr(ToyModel, 'val_step', lambda self, data: [{}], raising=False)
    return VALIDATION


TENSORBOARD = [dict(type='TensorboardVisBackend')]


@pytest.mark.parametrize(
    'changes, sentence',
    [
        (
            dict(train_dataloader=dict(batchsize=1)),
            r'no "batchsize", .* as train_dataloader\.batchsize\. Did you mean batch_size',
        ),
        (dict(train_cfg=dict(max_epoch=1)), r'no "max_epoch", .* as train_cfg\.max_epoch\. Did you mean max_epochs'),
        (dict(optim_wrapper=dict(optimizer=dict(learning_rate=1))), r'AdamW takes no "learning_rate", .*params, lr'),
        (
            dict(optim_wrapper=dict(optimizer=dict(type='Adamm'))),
            '"Adamm", but there is no such optimizer. Is it Adam',
        ),
        (dict(param_scheduler=[dict(type='CosineLR')]), 'cannot be built: CosineLR is not in the'),
        (dict(custom_hooks=[dict(type='NoSuchHook')]), 'cannot be built: NoSuchHook is not in the'),
        (dict(custom_hooks=[dict(interval=1)]), 'cannot be built'),
        (dict(default_hooks=dict(checkpoint=dict(intervall=1))), r'CheckpointHook takes no "intervall".*interval\?'),
        (
            dict(train_dataloader=dict(sampler=dict(shufle=True))),
            r'takes no "shufle", .*sampler\.shufle\. Did you mean shuffle',
        ),
        (dict(optim_wrapper=dict(clip_grad=3)), 'clip_grad'),
        (dict(load_from='gone.pth'), 'gone.pth'),
        (dict(randomness=dict(sed=3)), 'sed'),
        (
            dict(visualizer=dict(type='Visualizer', vis_backends=TENSORBOARD, name='v')),
            r'TensorboardVisBackend needs a package .*pip install',
        ),
    ],
)
def test_configs_that_cannot_run(cfg, changes, sentence, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorboardX', None)
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    assert re.search(sentence, fails(cfg(**changes)))


@pytest.mark.parametrize('rise', [0.0, 10.0])
def test_a_score_that_never_moves_is_said(cfg, validation, capsys, monkeypatch, rise):
    monkeypatch.setattr(METRICS.get('Brightness'), 'rise', rise)
    run_training(cfg(**validation), 'none')
    said = 'The mIoU was 0 at every validation, as where a model predicts one class alone'
    assert (said in capsys.readouterr().out) == (rise == 0)


def test_of_validations_without_a_score_nothing_is_said(cfg, validation, capsys, monkeypatch):
    monkeypatch.setattr(METRICS.get('Brightness'), 'compute_metrics', lambda self, results: {})
    run_training(cfg(**validation), 'none')
    assert 'at every validation' not in capsys.readouterr().out


def test_a_best_checkpoint_by_a_metric_that_there_is_not(cfg, validation, tmp_path):
    said = fails(cfg(**validation, default_hooks=dict(checkpoint=dict(save_best='mIou'))))
    assert said.startswith('default_hooks.checkpoint.save_best is "mIou", which the evaluation does not give')
    assert 'there are mIoU, aAcc. Set default_hooks.checkpoint.save_best=mIoU;' in said
    assert (tmp_path / 'work' / 'epoch_1.pth').is_file()


def test_early_stopping_by_a_metric_that_there_is_not(cfg, validation):
    hook = dict(type='EarlyStoppingHook', monitor='AP', strict=True, rule='greater')
    assert 'monitor is "AP", which the evaluation does not give' in fails(cfg(**validation, custom_hooks=[hook]))


LOST = 'Another process of this training has ended, so this one cannot go on.*--resume goes on'


@pytest.mark.parametrize(
    'error, sentence',
    [
        (
            torch.OutOfMemoryError('CUDA out of memory. Tried to allocate'),
            'a batch of 4 under EST.*batch_size=2 ',
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 'memory of this machine did not suffice'),
        (MemoryError(), 'memory of this machine did not suffice'),
        (RuntimeError('DataLoader worker (pid 3) is killed by signal: Killed.'), 'ended from outside'),
        (OSError(errno.ENOSPC, 'No space left on device'), 'No space left on device. Make room'),
        (PermissionError(errno.EACCES, 'Permission denied', '/x'), '/x cannot be read or written: Permission denied'),
        (OSError(errno.EFBIG, 'File too large'), 'failed: File too large'),
        (NotADirectoryError(errno.ENOTDIR, 'Not a directory', '/x'), '/x cannot be read or written: Not a directory'),
        (RuntimeError('... `find_unused_parameters=True` to ...'), 'got no gradient in the last step, .*start_level'),
        (RuntimeError('Parameter at index 116 has been marked as ready twice.'), 'do not go together in several'),
        (
            RuntimeError('[/x/gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:3: Connection reset by peer. T'),
            LOST,
        ),
        (RuntimeError('[/x/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:3'), LOST),
        (torch.distributed.DistBackendError('NCCL error in: x.cpp:1\nncclRemoteError: A call failed possibly'), LOST),
        (ModuleNotFoundError("No module named 'wandb'", name='wandb'), r'\(pip install wandb\)'),
    ],
)
def test_what_a_machine_does(cfg, error, sentence, monkeypatch):
    monkeypatch.setattr(Trouble, 'what', error)
    assert re.search(sentence, fails(cfg(custom_hooks=[dict(type='Trouble')])))


@pytest.mark.parametrize('full', ['train.log', 'epoch_2.pth'])
def test_a_full_disk_is_one_sentence_and_what_was_written_stays(cfg, monkeypatch, tmp_path, full):
    work = tmp_path / 'work'
    work.mkdir()
    (work / (full if full == 'train.log' else f'{full}.part')).symlink_to('/dev/full')
    monkeypatch.setattr('mmest.files.beside', lambda path: Path(f'{path}.part'))
    said = fails(cfg(default_hooks=dict(checkpoint=dict(max_keep_ckpts=1))))
    assert said.startswith(f'Writing to {work} failed: No space left on device. Make room, or name another')
    if full != 'train.log':
        assert [path.name for path in work.glob('*.pth*')] == ['epoch_1.pth']
        assert not broken(work / 'epoch_1.pth') and latest_complete_checkpoint(work).name == 'epoch_1.pth'


@pytest.mark.parametrize('verbose', [False, True])
def test_what_nobody_foresaw_keeps_its_traceback_in_the_log(cfg, monkeypatch, tmp_path, verbose):
    monkeypatch.setattr(Trouble, 'what', ZeroDivisionError('strange\nindeed'))
    said = fails(cfg(custom_hooks=[dict(type='Trouble')]), verbose=verbose)
    assert said.startswith('ZeroDivisionError: indeed. This is none of the errors') and 'train.log' in said
    log = (tmp_path / 'work' / 'train.log').read_text()
    assert 'Traceback (most recent call last)' in log and 'in after_train_iter' in log


@pytest.mark.parametrize('iteration', [1, 4])
def test_ctrl_c_names_the_command_that_goes_on(cfg, monkeypatch, capsys, iteration):
    monkeypatch.setattr(Trouble, 'what', KeyboardInterrupt())
    monkeypatch.setattr(sys, 'argv', ['/bin/mmest', 'train', 'my config.py', '--tuning', 'est'])
    with pytest.raises(SystemExit) as end:
        run_training(cfg(custom_hooks=[dict(type='Trouble', iteration=iteration)]), 'none')
    assert end.value.code == 130
    last = capsys.readouterr().out.splitlines()[-1]
    if iteration == 1:
        assert last == 'Interrupted before the first checkpoint; the same command starts anew.'
    else:
        assert last.endswith("epoch_1.pth is whole. Go on with: mmest train 'my config.py' --tuning est --resume")


@pytest.mark.parametrize('given', [['--resume', 'FILE', '--amp'], ['--resume=FILE', '--amp'], ['--amp', '--resume']])
def test_ctrl_c_goes_on_from_the_newest_checkpoint(cfg, monkeypatch, capsys, tmp_path, given):
    run_training(cfg(), 'none')
    first = str(tmp_path / 'work' / 'epoch_1.pth')
    monkeypatch.setattr(Trouble, 'what', KeyboardInterrupt())
    monkeypatch.setattr(sys, 'argv', ['/bin/mmest', 'train', 'my.py', *(word.replace('FILE', first) for word in given)])

    def stop_at(iteration: int) -> str:
        with pytest.raises(SystemExit):
            changes = dict(resume=True, load_from=first, custom_hooks=[dict(type='Trouble', iteration=iteration)])
            run_training(cfg(epochs=3, **changes), 'none')
        return capsys.readouterr().out.splitlines()[-1]

    assert stop_at(4) == f'Interrupted before the next checkpoint; the same command goes on from {first} again.'
    assert stop_at(7).endswith('epoch_2.pth is whole. Go on with: mmest train my.py --amp --resume')


@pytest.mark.parametrize(
    'here, program, said',
    [
        ('2', '/bin/mmest', 'torchrun --nproc_per_node 2 -m mmest train c.py --resume'),
        ('2', 'tools/train.py', 'torchrun --nproc_per_node 2 tools/train.py train c.py --resume'),
        ('1', '/lib/mmest/__main__.py', 'torchrun ... -m mmest train c.py --resume'),
    ],
)
def test_ctrl_c_of_several_processes(cfg, monkeypatch, capsys, here, program, said):
    monkeypatch.setattr(Trouble, 'what', KeyboardInterrupt())
    monkeypatch.setattr(sys, 'argv', [program, 'train', 'c.py'])
    for name, value in dict(LOCAL_RANK='0', MASTER_ADDR='host', WORLD_SIZE='2', LOCAL_WORLD_SIZE=here).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        run_training(cfg(custom_hooks=[dict(type='Trouble', iteration=4)]), 'none')
    assert capsys.readouterr().out.splitlines()[-1].endswith(f'Go on with: {said}')


@pytest.mark.parametrize('columns', [80, 120])
def test_the_terminal_is_quiet(cfg, validation, capsys, monkeypatch, tmp_path, columns):
    monkeypatch.setenv('COLUMNS', str(columns))
    run_training(cfg(**validation, default_hooks=dict(checkpoint=dict(save_best='mIoU'))), 'none')
    said, wrong = capsys.readouterr()
    lines = said.splitlines()
    assert not wrong and 'mmengine' not in said and len(lines) < 45
    steps = [line for line in lines if re.match(r'epoch \d/2 \d/6  loss [\d.]+  [\d.]+ GiB$', line)]
    assert len(steps) == 6
    first = lines.index(steps[0])
    start = next(i for i, line in enumerate(lines) if line.startswith('data '))
    # Notes before the header are not wrapped: paths in them are to be copied.
    assert first - start <= 12 and all(len(line) <= columns for line in lines[start:first])
    for row in ('data', 'model', 'trains', 'schedule', 'device', 'memory', 'files'):
        assert sum(line.startswith(f'{row} ') for line in lines[:first]) == 1
    assert re.search(r'epoch +mIoU +aAcc', said) and re.search(r'\n +2 +20 +50', said)
    assert lines[-3].startswith('  mmest test ') and lines[-3].endswith('best_mIoU_epoch_2.pth --show-dir shown')
    assert lines[-1].startswith('  mmest predict ')
    log = (tmp_path / 'work' / 'train.log').read_text()
    assert 'System environment' in log and 'What trains and what is frozen' in log and '\x1b' not in log
    MMLogger.get_current_instance().info('seen again')
    assert 'seen again' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('changes', 'images'),
    [
        (dict(), 4),
        (dict(optim_wrapper=dict(accumulative_counts=2)), 8),
        (dict(optim_wrapper=dict(accumulative_counts=4)), None),
        (dict(auto_scale_lr=dict(enable=True)), None),
        (dict(auto_scale_lr=dict(base_batch_size=4)), None),
        (dict(auto_scale_lr=None), None),
    ],
)
def test_a_rate_for_other_steps_is_said(cfg, capsys, changes, images):
    made = cfg()
    made.auto_scale_lr = dict(enable=False, base_batch_size=16)
    made.merge_from_dict(changes)
    run_training(made, 'none')
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith('rate ')]
    assert len(said) == (images is not None)
    assert all(f'for 16 images a step, here are {images}: ' in line for line in said)


def test_a_long_path_is_shown_whole(cfg, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv('COLUMNS', '80')
    folder = tmp_path / ('folder-of-a-name-that-is-longer-than-a-line-' * 3)
    long = cfg()
    long.work_dir, long.optim_wrapper.optimizer.lr = str(folder), 1e-3 / 3
    run_training(long, 'none')
    said = capsys.readouterr().out
    assert re.search(r'AdamW at [0.]+[1-9]\d{,2}\b', said), 'three digits of a rate tell enough'
    rows = said[said.index('files ') + 6 :].splitlines()
    assert ''.join(row.strip() for row in rows).startswith(str(folder))


def test_a_live_line_on_a_terminal(cfg, validation, capsys, monkeypatch):
    monkeypatch.setenv('FORCE_COLOR', '1')
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '80')
    run_training(cfg(**validation), 'none')
    said, wrong = capsys.readouterr()
    assert not wrong and 'mmengine' not in said and 'looking at data and weights' in said
    plain = re.sub(r'\x1b\[[^A-Za-z]*[A-Za-z]', '', said)
    assert re.search(r'(epoch|validation) \d/\d .*\d/6 .*loss [\d.]+  [\d.]+ GiB', plain)
    lines = [line for line in re.split(r'[\r\n]+', plain) if 'mmest' not in line and not line.startswith('note: ')]
    assert max(map(len, lines)) <= 80


def test_warnings_of_mmest_are_shown_and_those_of_libraries_are_not(cfg, capsys):
    run_training(cfg(train_dataloader=dict(num_workers=1, persistent_workers=True)), 'none')
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith('note: ')]
    assert sum('persistent_workers is True' in note for note in notes) == 1
    assert all('train_dataloader' in note for note in notes)


def test_nothing_is_left_where_nothing_has_begun(cfg, tmp_path):
    broken = cfg()
    broken.model.backbone.backbone.init_cfg.checkpoint = 'gone.pth'
    said = fails(broken)
    assert 'gone.pth are not there' in said and said.endswith('init_cfg.checkpoint=FILE).')
    assert not (tmp_path / 'work').exists()


def test_a_model_whose_backbone_is_not_wrapped(cfg, capsys):
    plain = cfg(custom_hooks=[])
    plain.model.backbone = plain.model.backbone.backbone
    plain.model.backbone.init_cfg = None
    run_training(plain, 'none')
    said = capsys.readouterr().out
    assert 'no backbone is tuned by a method' in said and 'Trained, ' in said and 'by a bit' not in said
