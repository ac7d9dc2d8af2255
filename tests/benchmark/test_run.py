"""A grid that is killed goes on; what fails is written down as a failure."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from cell_requests import FPN, owned_elsewhere, request
from mmengine.config import Config
from rich.console import Console

from mmest.benchmark import claims, measuring, run
from mmest.benchmark.cell import Cell
from mmest.benchmark.grid import read_grid
from mmest.benchmark.together import run as together
from mmest.benchmark.training import chosen_factor
from mmest.cli import main
from mmest.engine import work_folder
from mmest.measure.environment import hardware

TOOL = Path(__file__).parents[2] / 'tools' / 'benchmark.py'


def test_a_killed_grid_goes_on_and_a_failure_is_a_record(tmp_path):
    grid, out = tmp_path / 'grid.py', tmp_path / 'out'
    grid.write_text(f"""
memory = [dict(configs=['{FPN}'], sizes=[(64, 64)], batch_sizes=[1], tunings=['frozen', 'full']),
          dict(configs=['{FPN}'], sizes=[(64, 64)], batch_sizes=[1], tunings=['est'], variant='wrong',
               options={{'model.backbone.tuning.nonsense': 1}})]
""")
    command = [sys.executable, '-W', 'ignore', str(TOOL), str(grid), '--out', str(out)]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    while not list(out.glob('*.json')):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    first = {path: path.stat().st_mtime_ns for path in out.glob('*.json')}
    assert len(first) < 3

    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert again.returncode == 1 and 'Cells that failed: 1 of 3' in again.stderr, again.stderr
    records = {path.stem: json.loads(path.read_text()) for path in out.glob('*.json')}
    assert len(records) == 3
    assert all(path.stat().st_mtime_ns == written for path, written in first.items()), 'what was done was done again'
    wrong = records.pop(next(name for name in records if 'wrong' in name))
    assert wrong['failed'] and 'nonsense' in wrong['error'][-1] and wrong['config_text']
    for record in records.values():
        assert not record['failed']
        row = record['tunings'][record['method']]
        assert sum(row['attribution'].values()) == row['peak']
        assert record['hardware'] and record['versions']['torch'] and record['commit'] and record['config_text']


@pytest.fixture
def processes(monkeypatch):
    """Processes that do not run, but end as they are told to, and what has happened to them."""
    log = []

    class Process:
        exitcode, does = 0, staticmethod(lambda cell, path: None)

        def __init__(self, target, args):
            self.cell, self.path = args[:2]

        def start(self):
            log.append(('start', self.cell.name))
            self.sentinel = self

        def join(self):
            log.append(('end', self.cell.name))
            type(self).does(self.cell, self.path)

    monkeypatch.setattr(run, '_context', lambda: SimpleNamespace(Process=Process))
    monkeypatch.setattr(run, 'wait', lambda sentinels, timeout: sentinels[:1])
    monkeypatch.setattr(run, '_POLL', 0.01)
    return Process, log


def write_record(cell, path):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(dict(cell.request, failed=False)))


def run_all(cells, tmp_path, **kwargs):
    return run.run_grid(cells, tmp_path / 'out', tmp_path / 'work', Console(quiet=True), **kwargs)


def test_a_cell_that_is_killed_is_a_failure_and_the_next_one_runs(tmp_path, processes):
    processes[0].exitcode = -signal.SIGKILL
    cells = [Cell('one', request()), Cell('two', request(method='full'))]
    assert run_all(cells, tmp_path) == ['one', 'two']
    record = json.loads((tmp_path / 'out' / 'two.json').read_text())
    assert record['failed'] and 'memory' in record['error'][0] and record['method'] == 'full'
    assert not list((tmp_path / 'out').glob('*.claim'))


def test_a_record_that_is_cut_off_is_measured_again(tmp_path, processes):
    processes[0].does = staticmethod(write_record)
    path = tmp_path / 'out/one.json'
    path.parent.mkdir()
    path.write_text('{"failed": fal')
    os.utime(path, (time.time() + 60,) * 2)  # as if another runner had just written it
    assert run_all([Cell('one', request())], tmp_path) == []
    assert not json.loads(path.read_text())['failed']


def test_several_run_at_a_time_and_a_score_waits_for_its_sweep(tmp_path, processes):
    process, log = processes
    process.does = staticmethod(write_record)
    cells = [
        Cell('sweep_x1', request(kind='sweep', seed=0)),
        Cell('sweep_x3', request(kind='sweep', seed=1)),
        Cell('score', request(kind='accuracy', sweep=dict(cells=['sweep_x1', 'sweep_x3']))),
        Cell('other', request(kind='memory')),
        Cell('times', request(kind='time')),
        Cell('last', request(kind='memory', seed=2)),
    ]
    assert run_all(cells, tmp_path, jobs=3) == []
    assert [name for what, name in log if what == 'start'][:3] == ['sweep_x1', 'sweep_x3', 'other']
    assert log.index(('start', 'score')) > max(log.index(('end', 'sweep_x1')), log.index(('end', 'sweep_x3')))
    running = set()
    for what, name in log:
        (running.add if what == 'start' else running.remove)(name)
        assert len(running) <= 3 and ('times' not in running or len(running) == 1), 'times are measured alone'


def test_a_failure_names_files_without_the_folders_of_the_machine():
    try:
        Config.fromfile('nowhere.py')  # fails inside of a library
    except FileNotFoundError as error:
        lines = measuring.failure(error)['error']
    files = [line.split('"')[1] for line in lines if line.startswith('  File "')]
    assert any(file.startswith(f'mmengine{os.sep}') for file in files)
    assert not any(os.path.isabs(file) for file in files), files


def test_a_widened_sweep_runs_the_new_rate_alone(tmp_path, processes):
    process, log = processes
    sweep = dict(factors=[1, 3, 10], held_out=0.2, cells=['x1', 'x3', 'x10'])
    cells = [Cell(f'x{factor}', request(kind='sweep', factor=factor, held_out=0.2)) for factor in sweep['factors']]
    cells.append(Cell('score', request(kind='accuracy', sweep=sweep)))
    scores = {1: 0.5, 3: 0.6, 10: 0.4}

    def does(cell, path):
        path.parent.mkdir(exist_ok=True)
        found = (
            dict(factor=3) if cell.name == 'score' else dict(metrics={'coco/bbox_mAP': scores[cell.request['factor']]})
        )
        path.write_text(json.dumps({**cell.request, **found, 'failed': False}))

    process.does = staticmethod(does)
    for cell in cells[:2]:
        does(cell, tmp_path / 'out' / f'{cell.name}.json')
    narrow = request(kind='accuracy', sweep=dict(factors=[1, 3], held_out=0.2, cells=['x1', 'x3']))
    does(Cell('score', narrow), tmp_path / 'out' / 'score.json')
    assert run_all(cells, tmp_path) == []
    assert log == [('start', 'x10'), ('end', 'x10')]
    assert not list((tmp_path / 'out').glob('*.claim'))


@pytest.mark.parametrize('score, ran', [(0.9, ['x3', 'score']), (0.4, ['x3'])])
def test_a_rate_whose_run_failed_is_chosen_from_when_it_has_its_score(tmp_path, processes, score, ran):
    process, log = processes
    sweep = dict(factors=[1, 3], held_out=0.2, cells=['x1', 'x3'])
    cells = [Cell(f'x{factor}', request(kind='sweep', factor=factor, held_out=0.2)) for factor in sweep['factors']]
    cells.append(Cell('score', request(kind='accuracy', sweep=sweep)))
    scores = dict(x1=0.5)

    def does(cell, path):
        path.parent.mkdir(exist_ok=True)
        if cell.name == 'score':
            found = chosen_factor(cell.request, path.parent)
        elif cell.name in scores:
            found = dict(metrics={'coco/bbox_mAP': scores[cell.name]})
        else:
            found = dict(failed=True, error=['killed'])
        path.write_text(json.dumps({**cell.request, 'failed': False, **found}))

    process.does = staticmethod(does)
    assert run_all(cells, tmp_path) == ['x3']
    scores['x3'] = score
    log.clear()
    assert run_all(cells, tmp_path) == []
    assert [name for what, name in log if what == 'start'] == ran
    record = json.loads((tmp_path / 'out' / 'score.json').read_text())
    assert record['sweep_scores'] == {'1': 50.0, '3': 100 * score}
    assert record['factor'] == (3 if score > 0.5 else 1)
    log.clear()
    assert run_all(cells, tmp_path) == [] and not log


def test_a_cell_that_another_runner_has_is_left_to_it(tmp_path, processes):
    process, log = processes
    cells = [Cell('mine', request()), Cell('theirs', request(method='full'))]
    theirs = tmp_path / 'out' / 'theirs.json'
    claims.take(theirs)
    owned_elsewhere(theirs)

    def does(cell, path):
        write_record(cell, path)
        write_record(cells[1], theirs)  # the other runner ends, too
        claims.claim_of(theirs).unlink()

    process.does = staticmethod(does)
    assert run_all(cells, tmp_path) == []
    assert ('start', 'theirs') not in log


def test_a_record_that_finds_no_room_ends_the_grid_in_a_sentence(tmp_path, processes, monkeypatch, capsys):
    """The record of before stays, and the claim is no hindrance to the same command."""

    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), source)

    processes[0].exitcode = 1
    out, grid = tmp_path / 'out', tmp_path / 'grid.py'
    grid.write_text(f"memory = [dict(configs=['{FPN}'], sizes=[(64, 64)], batch_sizes=[1], tunings=['frozen'])]")
    (cell,) = read_grid(str(grid))
    record, before = out / f'{cell.name}.json', json.dumps(dict(cell.request, failed=True))
    out.mkdir()
    record.write_text(before)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(SystemExit) as end:
        main(['benchmark', str(grid), '--out', str(out)])
    assert end.value.code == (
        f'benchmark: Writing to {out} or work_dirs/benchmarks failed: No space left on device. Make room; the same '
        'command goes on.'
    )
    assert record.read_text() == before and [path.name for path in out.glob('*.json*')] == [record.name]
    assert claims.take(record)


def test_a_grid_that_loses_a_cell_goes_on(tmp_path, processes, monkeypatch):
    process, log = processes
    lost, other = (tmp_path / 'out' / f'{name}.json' for name in ('lost', 'other'))
    cells = [Cell('lost', request()), Cell('other', request(method='full'))]

    def ends(sentinels, timeout):
        if ('start', 'lost') in log and lost not in left:
            owned_elsewhere(lost)
            return []
        return sentinels[:1]

    def terminate(self):
        left.append(self.path)
        write_record(self.cell, self.path)  # by the runner that has it
        claims.claim_of(self.path).unlink()

    left = []
    process.does = staticmethod(lambda cell, path: path in left or write_record(cell, path))
    monkeypatch.setattr(process, 'terminate', terminate, raising=False)
    monkeypatch.setattr(run, 'wait', ends)
    monkeypatch.setattr(claims, 'RENEW', -1)
    assert run_all(cells, tmp_path) == []
    assert left == [lost] and lost.is_file() and other.is_file()
    assert [name for what, name in log if what == 'start'] == ['lost', 'other']
    assert not list((tmp_path / 'out').glob('*.claim'))


def test_each_job_sees_one_card(monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '2,5')
    assert run.visible_cards() == ['2', '5']
    with run._seen_card('5'):
        assert os.environ['CUDA_VISIBLE_DEVICES'] == '5'
    assert os.environ['CUDA_VISIBLE_DEVICES'] == '2,5'


def test_processes_that_train_side_by_side_share_the_cards(monkeypatch, tmp_path):
    class Pool:
        def __init__(self, jobs, context, initializer, initargs) -> None:
            given.extend(initargs)

        def shutdown(self, **_) -> None:
            pass

    given, seen = [], []
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '2,5')
    monkeypatch.setattr(together, 'ProcessPoolExecutor', Pool)
    assert list(together._records([], tmp_path, tmp_path, jobs=3, together=1)) == []
    for _ in range(3):
        together._take_card(given[-1])
        seen.append(os.environ['CUDA_VISIBLE_DEVICES'])
    assert seen == ['2', '5', '2']
    together._take_card(given[-1])  # no card is left, as where there is none
    assert os.environ['CUDA_VISIBLE_DEVICES'] == '2'


def test_a_trial_stays_on_the_cpu_and_its_record_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cuda')
    monkeypatch.setattr('mmest.benchmark.trials.trial.run_trial', lambda *_: {})
    cell, path = Cell('trial', request(kind='trial', device=None)), tmp_path / 'trial.json'
    measuring.measure(cell, path, tmp_path, None)
    record = json.loads(path.read_text())
    assert not record['failed'] and record['hardware'] == hardware('cpu')
    assert Cell('one', request(kind='accuracy', device=None)).device == 'cuda'
    assert Cell('one', request(device='cpu')).device == 'cpu'


LEAVES = """
import fcntl, sys, time
from pathlib import Path
file = open(sys.argv[1], 'a')
fcntl.lockf(file, fcntl.LOCK_EX)
print('held', flush=True)
time.sleep(1)
Path(sys.argv[2]).write_text(sys.argv[3])
"""


@pytest.mark.parametrize('failed', [False, True])
def test_a_folder_that_another_works_in_is_waited_for(tmp_path, monkeypatch, failed):
    """Whatever the claims say: this runner has taken over that of the other, or has records of its own."""
    cell, path = Cell('trial', request(kind='trial', device=None)), tmp_path / 'trial.json'
    began_after = []

    def trial(*_):
        began_after.append(json.loads(path.read_text()) if path.exists() else None)
        return {}

    monkeypatch.setattr('mmest.benchmark.trials.trial.run_trial', trial)
    theirs = dict(cell.request, failed=failed)
    words = [str(tmp_path / work_folder.TRAINING_LOCK), str(path), json.dumps(theirs)]
    with subprocess.Popen([sys.executable, '-c', LEAVES, *words], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == 'held\n'
        measuring.measure(cell, path, tmp_path, None)
        assert other.wait() == 0
    assert began_after == ([theirs] if failed else []), 'what the other has done is not done again'
    assert not json.loads(path.read_text())['failed']
    assert not work_folder._held


def test_where_there_is_cuda_processes_start_from_nothing(monkeypatch):
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    assert run._context().get_start_method() == 'spawn'
    monkeypatch.setattr('torch.cuda.is_available', lambda: False)
    assert run._context().get_start_method() == 'forkserver'
