"""The script for a card does on a CPU, at toy size, all but what needs the card."""

import json
import os
import subprocess
import sys
from pathlib import Path

from mmest.configs import configs_root

SCRIPT = configs_root().parent / 'benchmarks' / 'gpu.sh'


def test_all_parts_leave_records(config, tmp_path):
    name = config('fpn_swin_est')
    step = f"configs=[{str(name)!r}], tunings=['est', 'full'], sizes=[(64, 64)], batch_sizes=[1]"
    (tmp_path / 'gpu.py').write_text(f'memory = [dict({step})]\ntime = [dict({step}, steps=2)]\n')
    (tmp_path / 'accuracy.py').write_text(
        f"accuracy = [dict(configs=[{str(name)!r}], tunings=['est', 'frozen'],\n"
        "    sweep=dict(factors=[1.0], held_out=0.3), options={'model.data_preprocessor.size': (64, 64)})]\n"
    )
    name.write_text(
        name.read_text() + "param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=3)]\n"
    )
    environment = dict(
        os.environ,
        PYTHON_BIN=sys.executable,
        DEVICE='cpu',
        OUT=str(tmp_path / 'out'),
        GRIDS=str(tmp_path),
        ONLY='est,frozen',
    )
    command = ['bash', str(SCRIPT), 'check', 'study', 'memory', 'time']
    ran = subprocess.run(
        command, env=dict(environment, JOBS='2', TOGETHER='2'), capture_output=True, text=True, cwd=tmp_path
    )
    assert ran.returncode == 0 and 'failed' not in ran.stdout, ran.stdout + ran.stderr
    records = [json.loads(path.read_text()) for path in Path(tmp_path, 'out').glob('*.json')]
    assert sorted(record['kind'] for record in records) == [
        *['accuracy'] * 2,
        *['memory'] * 2,
        *['sweep'] * 2,
        'time',
    ]
    assert not any(record['failed'] for record in records), records
    wrong = subprocess.run(['bash', str(SCRIPT), 'speed'], env=environment, capture_output=True, text=True)
    assert wrong.returncode == 2 and 'There is no part "speed"' in wrong.stderr
