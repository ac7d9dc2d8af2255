"""The commands as torchrun starts them."""

import json
import os

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from processes import run_in_processes

from mmest.cli import main
from mmest.engine import batch

pytest.importorskip('mmseg')


def command(rank, data, *words):
    os.environ['MMEST_DATA'] = str(data)
    init_default_scope('mmseg')
    main(list(words))


def test_two_processes_train_and_score_as_one_does(tiny, tmp_path, monkeypatch):
    """Five images to score, so that one process has one more."""
    work = tmp_path / 'work'
    run_in_processes(command, 2, tmp_path / 'a', tmp_path, 'train', str(tiny), '--work-dir', str(work), '--verbose')
    checkpoint = str(work / 'iter_4.pth')
    assert torch.load(checkpoint)['meta']['iter'] == 4
    score = ['test', str(tiny), checkpoint, '--work-dir', str(work), '--out']
    run_in_processes(command, 2, tmp_path / 'b', tmp_path, *score, str(tmp_path / 'two.json'))
    main([*score, str(tmp_path / 'one.json')])
    one, two = (json.loads((tmp_path / name).read_text()) for name in ('one.json', 'two.json'))
    one, two = ({name: value for name, value in found.items() if 'time' not in name} for found in (one, two))
    assert one == two and 0 < one['mIoU'] < 100


def test_benchmark_says_how_several_share_a_grid(monkeypatch, mmest):
    for name, value in dict(LOCAL_RANK='0', RANK='0', WORLD_SIZE='2', MASTER_ADDR='127.0.0.1').items():
        monkeypatch.setenv(name, value)
    said = str(mmest('benchmark', 'grid.py', '--out', 'records'))
    assert said.startswith('benchmark: mmest benchmark is not started by torchrun') and '--jobs N' in said


def choose_batch(rank, folder):
    """With 8 GiB free where the first process looks and 4 GiB where the other does, and 1 GiB for an image."""
    os.environ['LOCAL_WORLD_SIZE'] = '2'
    batch._free_of_the_machine = lambda: (8 - 4 * rank) * 2**30
    batch.largest_batch_within = lambda cfg, budget, size, most: min(budget // 2**30, most)
    number, said = batch.largest_batch(Config(), 64)
    (folder / f'{rank}.txt').write_text(f'{number}: {said}')


def test_all_processes_take_one_batch(tmp_path):
    run_in_processes(choose_batch, 2, tmp_path, tmp_path)
    said = {(tmp_path / f'{rank}.txt').read_text() for rank in (0, 1)}
    assert said == {'1: a batch of 1 fits into 80% of the free 2.0 GiB of each process, by the planner'}
