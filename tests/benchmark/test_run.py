"""A grid that is killed goes on; what fails is written down as a failure."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from mmest.benchmark import run
from mmest.benchmark.config_text import config_text
from mmest.benchmark.grid import Cell
from mmest.benchmark.training_step import largest_batch, measure_time
from mmest.configs import configs_root

TOOL = Path(__file__).parents[2] / 'tools' / 'benchmark.py'
FPN = str(configs_root() / 'demo' / 'fpn_swin_est.py')


def request(**changes) -> dict:
    return dict(
        dict(
            kind='memory',
            config=FPN,
            size=[64, 64],
            batch_size=1,
            precision='fp32',
            device='cpu',
            options={},
            variant='',
            method='frozen',
            tuning=dict(type='Frozen'),
            config_text='',
        ),
        **changes,
    )


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


def test_only_the_same_request_is_done(tmp_path):
    path, asked = tmp_path / 'cell.json', dict(kind='memory', size=[64, 64])
    assert not run.is_done(path, asked)
    path.write_text(json.dumps(dict(asked, failed=False, peak=1)))
    assert run.is_done(path, asked)
    assert not run.is_done(path, dict(asked, size=[64, 96]))
    path.write_text(json.dumps(dict(asked, failed=True)))
    assert not run.is_done(path, asked)


def test_a_cell_that_is_killed_is_a_failure_and_the_next_one_runs(tmp_path, monkeypatch):
    class Killed:
        exitcode = -signal.SIGKILL

        def __init__(self, **kwargs):
            pass

        def start(self):
            pass

        def join(self):
            pass

    context = run.multiprocessing.get_context('forkserver')
    monkeypatch.setattr(type(context), 'Process', Killed)
    cells = [Cell('one', request()), Cell('two', request(method='full'))]
    assert run.run_grid(cells, tmp_path / 'out', tmp_path / 'work', Console(quiet=True)) == ['one', 'two']
    record = json.loads((tmp_path / 'out' / 'two.json').read_text())
    assert record['failed'] and 'memory' in record['error'][0] and record['method'] == 'full'


def test_methods_that_cannot_train_do_not_stop_the_times_of_others(tmp_path):
    text, _ = config_text(FPN, {}, 'frozen', ('default_scope', 'model', 'optim_wrapper'))
    # The file may have changed, or gone, since the grid was read: what the record says is what runs.
    asked = dict(
        request(config='gone.py', config_text=text),
        tunings=dict(frozen=dict(type='Frozen'), full=dict(type='Fool')),
        steps=3,
    )
    result = measure_time(asked, tmp_path)
    assert len(result['seconds']['frozen']) == 3 and 'Fool' in result['failures']['full']


@pytest.mark.parametrize('most', [0, 1, 2, 3, 7, 8, 21])
def test_the_largest_batch_is_found_in_few_trials(most):
    trials = []

    def fits(batch_size):
        trials.append(batch_size)
        return batch_size <= most

    assert largest_batch(fits) == most
    assert len(trials) == len(set(trials)) <= 2 * max(most, 1).bit_length() + 1
