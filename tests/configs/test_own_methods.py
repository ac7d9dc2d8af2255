"""A method of somebody's own, in a module that a config names: the commands know it by its class."""

import sys

import pytest

from mmest.configs import load_tuning, open_config, own_methods
from mmest.registry import TUNINGS

METHOD = """
from torch import nn
from mmest.registry import TUNINGS
from mmest.tuning import TuningMethod

@TUNINGS.register_module()
class OfMine(TuningMethod):
    trains = False
"""
CONFIG = """
custom_imports = dict(imports=['module_of_mine'], allow_failed_imports=False)
model = dict(type='EncoderDecoder', backbone=dict(type='ResNet', depth=18))
"""


@pytest.fixture
def config(tmp_path):
    yield tmp_path / 'mine.py'
    TUNINGS.module_dict.pop('OfMine', None)
    sys.modules.pop('module_of_mine', None)


def test_it_goes_by_the_name_of_its_class(config, monkeypatch):
    config.write_text(CONFIG)
    (config.parent / 'module_of_mine.py').write_text(METHOD)
    monkeypatch.syspath_prepend(config.parent)
    assert open_config(str(config), tuning='OfMine').model.backbone.tuning == dict(type='OfMine')
    assert load_tuning('OfMine') == dict(type='OfMine')
    assert 'OfMine' in own_methods() and 'EST' not in own_methods()


def test_a_module_that_is_not_found_says_where_it_is_looked_for(config):
    config.write_text(CONFIG)
    with pytest.raises(ValueError, match="No module named 'module_of_mine'. .* in a folder that PYTHONPATH names"):
        open_config(str(config))


def test_what_it_needs_itself_is_said_as_it_is(config, monkeypatch):
    config.write_text(CONFIG)
    (config.parent / 'module_of_mine.py').write_text('import gone_for_good')
    monkeypatch.syspath_prepend(config.parent)
    with pytest.raises(ValueError, match="No module named 'gone_for_good'$"):
        open_config(str(config))


@pytest.mark.parametrize('name', ['EST', 'OfMine'])
def test_other_classes_do_not(name):
    with pytest.raises(
        ValueError, match=f'There is no tuning method "{name}"; .* est, .* or the class of a method of you'
    ):
        load_tuning(name)
