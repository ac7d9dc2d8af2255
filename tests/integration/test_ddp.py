"""Two gloo processes through mmengine's Runner, without find_unused_parameters, for every method."""
import os
import socket
import traceback

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from toy import METHODS, runner_cfg


def work(rank, port, method, checkpoint, folder):
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    torch.set_num_threads(1)
    from mmengine.model import MMDistributedDataParallel

    from mmest.engine.freeze import digests
    from mmest.engine.launch import build_runner
    try:
        cfg = runner_cfg('swin', METHODS[method], checkpoint, folder / 'work', epochs=2)
        runner = build_runner(cfg, 'pytorch')
        assert isinstance(runner.model, MMDistributedDataParallel) and not runner.model.find_unused_parameters
        runner.train()
        torch.save(digests(runner.model.module.named_parameters()), folder / f'rank{rank}.pth')
    except Exception:
        (folder / f'error{rank}.txt').write_text(traceback.format_exc())
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


@pytest.mark.parametrize('method', METHODS)
def test_two_processes_agree(method, weights, tmp_path):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    try:
        mp.spawn(work, (port, method, weights['swin'], tmp_path), nprocs=2)
    except Exception as error:
        raise AssertionError(''.join(p.read_text() for p in tmp_path.glob('error*.txt'))) from error
    first, second = (torch.load(tmp_path / f'rank{rank}.pth') for rank in (0, 1))
    assert first == second
    assert (tmp_path / 'work' / 'epoch_2.pth').is_file()
