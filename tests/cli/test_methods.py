"""mmest methods and what it tells."""

import pytest
from toy import BACKBONES, METHODS, TWO_A_STAGE

from mmest.configs import available_tunings
from mmest.measure.overview import overview


def test_lists_every_method_on_the_backbone_of_a_config(mmest, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')
    assert mmest('methods', 'mmest::segmentation/dubai/segformer', '--backbone', 'r50-c4') == 0
    said = capsys.readouterr().out
    assert all(f'\n  {name} ' in said for name in available_tunings())
    assert '…' not in said and max(map(len, said.splitlines())) <= 80 and ' 100.00% ' in said


def test_bad_config_gets_a_sentence(mmest):
    assert mmest('methods', 'nowhere.py').startswith('methods: There is no config "nowhere.py"')


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
        ('side_tuning', 'beside', 0, False),
    ],
)
def test_family_and_depth_of_the_graph(method, family, graph, merges):
    row = overview(dict(BACKBONES['swin'], **TWO_A_STAGE), METHODS[method])
    assert (row.family, row.graph, row.blocks, row.merges) == (family, graph, 8, merges)
    assert row.source and row.acts_on
