"""The commands as torchrun starts them."""

import json
import os
import time

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from processes import run_in_processes

from mmest.cli import main, train
from mmest.engine import batch
from mmest.engine.work_folder import hold, let_go

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


TORCHRUN = dict(RANK='{rank}', LOCAL_RANK='{rank}', WORLD_SIZE='2')
SLURM = dict(SLURM_PROCID='{rank}', SLURM_LOCALID='{rank}', SLURM_NTASKS='2', SLURM_NODELIST='here')


def enter(rank, variables, stop, folder, *words):
    """Keeps how the command ends, there where ``stop`` has it not train, and waits for the other process."""
    for name in TORCHRUN:
        os.environ.pop(name)
    os.environ.update({name: text.format(rank=rank) for name, text in variables.items()})
    torch.cuda.set_device = lambda _: None  # by which mmengine begins, whatever the processes talk over
    if stop:
        train.run_training = lambda *_: None
    try:
        main(list(words))
        end = 0
    except SystemExit as exit_:
        end = exit_.code
    (folder / f'{rank}.json').write_text(json.dumps(end))
    for _ in range(1200):  # the folder is held meanwhile
        if (folder / f'{1 - rank}.json').exists():
            return
        time.sleep(0.1)
    raise TimeoutError('The other process has not ended by itself.')


def ends(variables, stop, folder, *words):
    """What each of two processes says at its end; 0 of one that trained, 1 of one that has ended without a word."""
    run_in_processes(enter, 2, folder, variables, stop, folder, 'train', *words)
    return [json.loads((folder / f'{rank}.json').read_text()) for rank in (0, 1)]


@pytest.mark.parametrize(
    'trained, refusal',
    [
        ('own data', 'holds another run: iter_9.pth'),
        ('own data', 'Another training runs in'),
        ('own data', None),
        ('config', 'Another training runs in'),
        ('slurm', None),
    ],
)
def test_processes_enter_a_work_folder_together_or_not_at_all(tiny, tmp_path, trained, refusal):
    """Of own data the others prepared theirs in the folder that the first refused. Under Slurm all were the first."""
    own, work = tmp_path / 'own', tmp_path / 'work'
    for path in (own, work):
        path.mkdir()
    words = [str(tiny)]
    if trained == 'own data':
        words = ['--data', str(own)]
        for kind in ('images', 'masks'):
            (tmp_path / kind).rename(own / kind)
    elif trained == 'slurm':
        words += ['--launcher', 'slurm', '--cfg-options', 'env_cfg.dist_cfg.backend=gloo']
    words += ['--work-dir', str(work)]
    if refusal == 'Another training runs in':
        hold(work)
    elif refusal:
        (work / 'iter_9.pth').write_text('earlier')
    there = list(work.rglob('[!.]*'))
    try:
        first, second = ends(SLURM if trained == 'slurm' else TORCHRUN, True, tmp_path / 'ends', *words)
    finally:
        let_go(work)
    if refusal:
        assert refusal in first and second == 1
        assert list(work.rglob('[!.]*')) == there
    else:
        assert first == second == 0
        assert (work / 'data').is_dir() == (trained == 'own data')


@pytest.mark.parametrize('removes', [True, False])
def test_what_the_first_process_alone_looks_at_ends_all(tiny, tmp_path, removes):
    words = [str(tiny), '--work-dir', str(tmp_path), '--overwrite', '--cfg-options']
    if removes:
        (tmp_path / 'iter_9.pth').write_text('earlier')
        words += [f'load_from={tmp_path / "iter_9.pth"}']
    else:
        words += ['model.backbone.backbone.init_cfg.checkpoint=gone.pth']
    first, second = ends(dict(TORCHRUN, MMEST_DATA=str(tmp_path)), removes, tmp_path / 'ends', *words)
    assert ('which --overwrite would remove' if removes else 'gone.pth are not there') in first and second == 1


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
