"""Two gloo processes through mmengine's Runner, without find_unused_parameters, for every method."""

import os
import socket
import traceback

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from mmengine.hooks import Hook
from mmengine.model import MMDistributedDataParallel
from toy import METHODS, runner_cfg

from mmest.checkpoints.digests import changed, digests
from mmest.engine.launch import build_runner


class Record(Hook):
    """Digests of a step's images, of the gradients its optimizer meets, and of the parameters before and after."""

    def before_train(self, runner):
        self.before = digests(runner.model.named_parameters())
        self.gradients, self.images = [], []
        runner.optim_wrapper.optimizer.register_step_pre_hook(
            lambda *_: self.gradients.append(
                digests((name, p.grad) for name, p in runner.model.named_parameters() if p.grad is not None)
            )
        )

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.images.append(digests([('images', data_batch['inputs'])]))

    def after_train(self, runner):
        self.after = digests(runner.model.named_parameters())
        self.trains = sorted(name for name, p in runner.model.named_parameters() if p.requires_grad)


def work(rank, port, checkpoint, folder):
    os.environ.update(
        RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port)
    )
    torch.set_num_threads(1)
    try:
        for method, tuning in METHODS.items():
            runner = build_runner(runner_cfg('swin', tuning, checkpoint, folder / method), 'pytorch')
            assert isinstance(runner.model, MMDistributedDataParallel) and not runner.model.find_unused_parameters
            record = Record()
            runner.register_hook(record)
            runner.train()
            torch.save(vars(record), folder / f'{method}{rank}.pth')
    except Exception:
        (folder / f'error{rank}.txt').write_text(f'{method}: {traceback.format_exc()}')
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


@pytest.fixture(scope='module')
def folder(weights, tmp_path_factory):
    """Both processes train every method, one after the other: starting them takes longer than the trainings."""
    folder = tmp_path_factory.mktemp('ddp')
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    try:
        mp.spawn(work, (port, weights['swin'], folder), nprocs=2)
    except Exception as error:
        raise AssertionError(''.join(p.read_text() for p in folder.glob('error*.txt'))) from error
    return folder


@pytest.mark.parametrize('method', METHODS)
def test_two_processes_agree(method, folder):
    first, second = (torch.load(folder / f'{method}{rank}.pth') for rank in (0, 1))
    assert len(first['images']) == 4 and all(a != b for a, b in zip(first['images'], second['images']))
    assert first['gradients'] == second['gradients']
    assert all(sorted(step) == first['trains'] for step in first['gradients']), (
        'every trainable parameter has a gradient'
    )
    assert first['after'] == second['after']
    moved = changed(first['before'], first['after'])
    assert moved and set(moved) <= set(first['trains'])
    assert (folder / method / 'epoch_2.pth').is_file()
