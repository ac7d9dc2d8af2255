"""A profile says which part of a model an operation is of, and of what kind it is."""

import json
import sys
from pathlib import Path

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from toy import METHODS, image, runner_cfg

from mmest.measure.profile import kind_of, profile_step

sys.path.insert(0, str(Path(__file__).parents[2] / 'benchmarks'))
import profile_step as script


def profiled(method):
    cfg = runner_cfg('resnet', METHODS[method], 'none.pth', 'none')
    cfg.model.backbone.backbone.pop('init_cfg')
    model = MODELS.build(cfg.model).train()
    batch = dict(inputs=image(), target=(image()[:, 0] > 0.5).long())
    return profile_step(model, build_optim_wrapper(model, cfg.optim_wrapper), batch, steps=1)


def test_each_operation_belongs_to_a_part():
    found = {method: profiled(method) for method in ('frozen', 'est', 'full')}
    parts = {method: set(one['parts']) for method, one in found.items()}
    whole = {'backbone', 'neck and heads', 'neck and heads, backward', 'optimizer'}
    assert parts['frozen'] == whole
    assert parts['est'] == {*whole, 'method', 'method, backward'}, 'no gradient goes through the backbone'
    assert parts['full'] == {*whole, 'backbone, backward'}
    est, full = (found[method]['parts'] for method in ('est', 'full'))
    convolutions = [part['backbone']['kinds']['convolutions']['operations'] for part in (est, full)]
    assert convolutions[0] == convolutions[1] > 50
    assert est['method']['kinds']['matrix products']['operations'] > 0
    heads = [found[method]['parts']['neck and heads, backward']['operations'] for method in ('frozen', 'est')]
    of_method = est['method, backward']['operations']
    assert of_method > est['method']['operations'], 'blocks that run again are of the method'
    assert heads[1] < of_method
    for one in found.values():
        for part in one['parts'].values():
            kinds = part['kinds'].values()
            assert part['seconds'] == pytest.approx(sum(kind['seconds'] for kind in kinds)) and part['operations'] > 0


def test_a_model_on_the_cpu_is_timed_there_whatever_card_there_is(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'synchronize', lambda: None)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '0')
    seconds = [part['seconds'] for part in profiled('frozen')['parts'].values()]
    assert len(seconds) == 4 and min(seconds) > 0


@pytest.mark.parametrize(
    'name, kind',
    [
        ('aten::addmm', 'matrix products'),
        ('aten::convolution_backward', 'convolutions'),
        ('aten::native_layer_norm', 'norms'),
        ('aten::copy_', 'copies'),
        ('aten::permute', 'views'),
        ('aten::t', 'views'),
        ('aten::add', 'elementwise'),
        ('aten::sum', 'sums and means'),
        ('torchvision::x', 'others'),
    ],
)
def test_kinds(name, kind):
    assert kind_of(name) == kind


def test_the_script_writes_what_it_shows(tmp_path, capsys):
    out = tmp_path / 'profile.json'
    words = ['detection/custom/retinanet', '--backbone', 'r50', '--tunings', 'frozen', '--size', '32', '32']
    script.main([*words, '--batch-size', '1', '--steps', '1', '--out', str(out)])
    record = json.loads(out.read_text())
    assert record['size'] == [32, 32] and not record['compile'] and record['versions']['torch']
    assert f'frozen: a step of {record["profiles"]["frozen"]["seconds"]:.3f} s' in capsys.readouterr().out


def test_the_script_takes_the_size_of_the_config_and_levers(tmp_path):
    out = tmp_path / 'profile.json'
    words = ['detection/hrplanes/retinanet', '--backbone', 'deit-t', '--tunings', 'est', '--memory', 'side_bf16']
    script.main([*words, '--batch-size', '1', '--steps', '1', '--out', str(out)])
    record = json.loads(out.read_text())
    assert record['size'] == [192, 192] and record['memory'] == ['side_bf16']
    assert record['profiles']['est']['parts']['method']['operations'] > 0
