"""A training that is killed at any moment resumes from its last complete checkpoint to the same losses."""

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes  # noqa: F401
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from toy import METHODS, runner_cfg

from mmest.checkpoints.files import is_complete
from mmest.engine.resume import latest_complete_checkpoint

EPOCHS = 16


def train(config: Path, log: Path) -> None:
    """In a process of its own, from the last complete checkpoint, if there is one."""
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
    os.dup2(1, 2)
    torch.set_num_threads(1)
    cfg = Config.fromfile(config)
    if last := latest_complete_checkpoint(cfg.work_dir):
        cfg.resume, cfg.load_from = True, str(last)
    Runner.from_cfg(cfg).train()


def start(config: Path, log: Path) -> multiprocessing.Process:
    process = multiprocessing.get_context('forkserver').Process(target=train, args=(config, log))
    process.start()
    return process


def run(folder: Path, checkpoint: Path, kills: int = 0, epoch: float = 0) -> Path:
    """Train in a process of its own, killing it at random moments up to two epochs (of so many seconds) after its first
    checkpoint; returns the work dir.
    """
    config, work_dir, log = folder / 'config.py', folder / 'work', folder / 'log.txt'
    folder.mkdir()
    runner_cfg('swin', METHODS['est'], checkpoint, work_dir, epochs=EPOCHS).dump(config)
    for seed in range(kills):
        process = start(config, log)
        had = latest_complete_checkpoint(work_dir)
        while process.is_alive() and latest_complete_checkpoint(work_dir) == had:
            time.sleep(0.01)
        time.sleep(2 * epoch * random.Random(seed).random())
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL, log.read_text()[-2000:]
        assert not (work_dir / f'epoch_{EPOCHS}.pth').exists(), 'it was over before it was killed'
        assert all(is_complete(path) for path in work_dir.glob('*.pth'))
    process = start(config, log)
    process.join()
    assert process.exitcode == 0, log.read_text()[-2000:]
    return work_dir


def test_the_curve_is_that_of_a_run_never_interrupted(weights, tmp_path):
    folders = [run(tmp_path / 'whole', weights['swin'])]
    last_two = [(folders[0] / f'epoch_{number}.pth').stat().st_mtime for number in (EPOCHS - 1, EPOCHS)]
    folders.append(run(tmp_path / 'killed', weights['swin'], kills=3, epoch=last_two[1] - last_two[0]))
    whole, killed = (torch.load(folder / f'epoch_{EPOCHS}.pth') for folder in folders)
    losses = [file['message_hub']['log_scalars']['train/loss']['history_buffer'][0] for file in (whole, killed)]
    assert len(losses[0]) == 3 * EPOCHS and torch.equal(*losses)
    assert whole['state_dict'].keys() == killed['state_dict'].keys()
    assert all(torch.equal(value, killed['state_dict'][key]) for key, value in whole['state_dict'].items())


def test_half_written_files_of_dead_processes_go_at_the_next_start(weights, tmp_path):
    dead = subprocess.Popen([sys.executable, '-c', ''])
    dead.wait()
    stale = [tmp_path / f'epoch_1.pth.mmest-part{number}' for number in (dead.pid, os.getpid())]
    pieces = [f'DOTA.tar.gz.part{number:02d}' for number in (0, dead.pid)]  # a split download
    names = [f'epoch_1.pth.mmest-part{os.getppid()}', 'notes.mmest-part1x', 'my.partition', *pieces]
    others = [tmp_path / name for name in names]
    for path in stale + others:
        path.write_text('')
    Runner.from_cfg(runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path, epochs=1)).train()
    assert not any(path.exists() for path in stale) and all(path.exists() for path in others)


def test_training_by_iterations_resumes_in_the_middle_of_an_epoch(weights, tmp_path):
    """There only what reseeds every step gives dropout the numbers that it had."""

    def train(folder, **changes):
        cfg = runner_cfg('swin', METHODS['est'], weights['swin'], folder, **changes)
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=8, val_interval=99)
        cfg.param_scheduler, cfg.log_processor = [], dict(by_epoch=False)
        cfg.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=4)
        Runner.from_cfg(cfg).train()
        return torch.load(folder / 'iter_8.pth')

    whole = train(tmp_path / 'whole')
    resumed = train(tmp_path / 'resumed', resume=True, load_from=str(tmp_path / 'whole' / 'iter_4.pth'))
    losses = [file['message_hub']['log_scalars']['train/loss']['history_buffer'][0] for file in (whole, resumed)]
    assert len(losses[0]) == 8 and torch.equal(*losses)
    assert whole['state_dict'].keys() == resumed['state_dict'].keys()
    assert all(torch.equal(value, resumed['state_dict'][key]) for key, value in whole['state_dict'].items())
