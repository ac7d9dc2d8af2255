"""tools/list_tunings.py and what it tells."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy import BACKBONES, METHODS

from mmest.configs import available_tunings, configs_root
from mmest.measure.overview import overview

TOOL = Path(__file__).parents[2] / 'tools' / 'list_tunings.py'


def test_lists_every_method_on_the_backbone_of_a_config():
    config = configs_root() / 'segmentation' / 'dubai' / 'segformer_r50-c4_est.py'
    ran = subprocess.run(
        [sys.executable, str(TOOL), str(config)], capture_output=True, text=True, env={**os.environ, 'COLUMNS': '200'}
    )
    assert ran.returncode == 0, ran.stderr
    assert all(f'│ {name} ' in ran.stdout for name in available_tunings())


def test_bad_config_gets_a_sentence():
    ran = subprocess.run([sys.executable, str(TOOL), 'nowhere.py'], capture_output=True, text=True)
    assert ran.returncode and 'There is no config "nowhere.py"' in ran.stderr and 'Traceback' not in ran.stderr


@pytest.mark.parametrize(
    'method, family, graph, merges',
    [
        ('full', 'selective', 8, True),
        ('frozen', 'selective', 0, True),
        ('partial', 'selective', 1, True),
        ('bitfit', 'selective', 8, True),
        ('ssf', 'inserted', 8, True),
        ('lora', 'inserted', 8, True),
        ('mona', 'inserted', 8, False),
        ('est', 'beside', 0, False),
        ('dtl', 'beside', 0, False),
        ('side-tuning', 'beside', 0, False),
    ],
)
def test_family_and_depth_of_the_graph(method, family, graph, merges):
    row = overview(BACKBONES['swin'], METHODS[method])
    assert (row.family, row.graph, row.blocks, row.merges) == (family, graph, 8, merges)
    assert row.source and row.acts_on
