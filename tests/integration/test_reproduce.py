"""From the archives of official data sets to the LaTeX table, by the commands that docs/reproduce.md names."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import official_trees as trees
import pytest
from test_official_end_to_end import DETECTION, SEGMENTATION, call  # noqa: F401
from toy import forget_instances

from mmest.benchmark import run
from mmest.benchmark.measuring import measure
from mmest.configs import configs_root

GRID = """
methods = ['full', 'frozen', 'est']
accuracy = [dict(configs=['{config}'], tunings=methods, seeds=[0])]
memory = [dict(configs=['{config}'], tunings=methods, sizes=[(64, 64)], batch_sizes=[1])]
"""
# Data set of the configs, its text, what papers print.
CASES = {'dior': ('dior', DETECTION, 'AP50'), 'loveda': ('loveda', SEGMENTATION, 'mIoU')}


@pytest.fixture
def in_this_process(monkeypatch):
    """Cells run here, which saves the imports of each."""

    class Process:
        exitcode = 0

        def __init__(self, target, args):
            self.args, self.sentinel = args[:4], self

        def start(self):
            forget_instances()
            self.args[2].mkdir(parents=True, exist_ok=True)
            measure(*self.args)

        def join(self):
            pass

    monkeypatch.setattr(run, '_context', lambda: SimpleNamespace(Process=Process))
    monkeypatch.setattr(run, 'wait', lambda sentinels, timeout: sentinels)


@pytest.mark.parametrize('name', CASES)
def test_from_the_archive_to_the_latex_table(name, call, in_this_process, tmp_path, monkeypatch):  # noqa: F811
    data, text, metric = CASES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('MMEST_DATA', str(tmp_path / 'data'))
    trees.ALL[name](tmp_path / 'download')
    assert call(f'datasets/{name}.py', 'download', f'data/{name}', '--workers', 1) in (0, 1)
    config = tmp_path / data / 'head_r18_est.py'
    config.parent.mkdir()
    extra = 'train_cfg = dict(max_epochs=1)\nval_dataloader = dict(num_workers=0)\n' if text is DETECTION else ''
    config.write_text(text.format(root=configs_root(), data=data, batch=1) + extra)
    Path('grid.py').write_text(GRID.format(config=config))
    assert call('benchmark.py', 'grid.py', '--out', 'results', '--only', 'full,est') == 0
    records = {path.stem: json.loads(path.read_text()) for path in Path('results').glob('*.json')}
    assert len(records) == 4 and not any(record['failed'] for record in records.values())
    assert not call('make_tables.py', 'results', '--out', 'tables')
    latex = next(Path('tables/benchmarks/files').glob('paper_r18*.tex')).read_text()
    rows = {line.split(' & ')[0]: line for line in latex.splitlines() if ' & ' in line}
    assert metric in rows['method'] and {'full', 'est'} <= rows.keys() and 'frozen' not in rows
    assert re.search(r'100', rows['full']) and re.search(r'\d\.\d', rows['est'].rpartition(' & ')[2])
