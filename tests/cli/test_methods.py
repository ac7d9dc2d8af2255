"""mmest methods and what it tells."""

import pytest
from toy import BACKBONES, METHODS, TWO_A_STAGE

from mmest.configs import available_tunings
from mmest.measure.overview import overview
from mmest.registry import TUNINGS


def test_lists_every_method_on_the_backbone_of_a_config(mmest, capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')
    assert mmest('methods', 'mmest::segmentation/dubai/segformer', '--backbone', 'r50-c4') == 0
    said = capsys.readouterr().out
    assert all(f'\n  {name} ' in said for name in available_tunings())
    assert '…' not in said and max(map(len, said.splitlines())) <= 80 and ' 100.00% ' in said


def test_a_method_of_a_project_is_listed_where_a_config_registers_it(mmest, capsys, monkeypatch, tmp_path):
    pytest.importorskip('mmseg')
    (tmp_path / 'methods_of_mine.py').write_text(
        'from mmest.registry import TUNINGS\nfrom mmest.tuning.selective import Frozen\n'
        "@TUNINGS.register_module()\nclass StillMine(Frozen):\n    acts_on = 'nothing of mine'\n"
    )
    config = tmp_path / 'mine.py'
    config.write_text(
        "_base_ = 'mmest::segmentation/dubai/segformer'\n"
        "custom_imports = dict(imports=['mmest', 'methods_of_mine'], allow_failed_imports=False)"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr('mmest.cli.methods.available_tunings', lambda: ['full'])
    try:
        assert mmest('methods', config) == 0
    finally:
        TUNINGS.module_dict.pop('StillMine', None)
    said = capsys.readouterr().out
    assert '\n  StillMine ' in said and 'of mine' in said and '\n  full ' in said


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
