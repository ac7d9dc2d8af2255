"""Levers on memory by name: in configs, in commands and in trainings."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner
from toy import METHODS, runner_cfg

from mmest.cli import main
from mmest.configs import open_config
from mmest.levers import configure, levers, named, put_on
from mmest.measure.memory.compare import compare_tunings

DEMO = 'mmest::demo/fpn_swin_est'
LOWEST = dict(
    full=['blocks_recomputed', 'heads_recomputed', 'loss_in_rows'],
    lora=['blocks_recomputed', 'heads_recomputed', 'loss_in_rows'],
    steered_est=['blocks_recomputed', 'heads_recomputed', 'loss_in_rows'],
    frozen=['frozen_bf16', 'heads_recomputed', 'loss_in_rows'],
    est=['frozen_bf16', 'side_int8', 'heads_recomputed', 'loss_in_rows'],
    lst=['frozen_bf16', 'side_bf16', 'heads_recomputed', 'loss_in_rows'],
    e3va=['side_bf16', 'heads_recomputed', 'loss_in_rows'],
)


def command(*words):
    try:
        main([str(word) for word in words])
    except SystemExit as end:
        return str(end.code)
    return ''


@pytest.mark.parametrize('method', LOWEST)
def test_lowest_is_all_that_suits(method):
    cfg = open_config(DEMO, tuning=method)
    cfg.memory = 'lowest'
    assert [lever.name for lever in named(cfg)] == LOWEST[method]
    configure(cfg)
    once = cfg.to_dict()
    configure(cfg)
    assert cfg.to_dict() == once and cfg.memory == LOWEST[method]


@pytest.mark.parametrize('asked, other', [('side_bf16', 'side_int8'), ('frozen_int8', 'frozen_bf16')])
def test_a_choice_of_two_that_do_the_same_is_kept(asked, other):
    cfg = open_config(DEMO)
    cfg.memory = ['lowest', asked]
    assert [lever.name for lever in named(cfg)] == [asked if name == other else name for name in LOWEST['est']]


@pytest.mark.parametrize(
    'key, value, kept, other',
    [
        ('frozen_dtype', 'int8', 'frozen_int8', 'frozen_bf16'),
        ('frozen_dtype', 'bf16', 'frozen_bf16', 'frozen_bf16'),
        ('saved_dtype', 'bf16', 'side_bf16', 'side_int8'),
    ],
)
def test_lowest_keeps_what_the_model_says_by_itself(key, value, kept, other):
    cfg = open_config(DEMO)
    cfg.model.backbone[key], cfg.memory = value, 'lowest'
    configure(cfg)
    configure(cfg)
    assert cfg.model.backbone[key] == value
    assert cfg.memory == [kept if name == other else name for name in LOWEST['est']]


def test_a_compiled_backbone_stays_out_of_8_bits():
    cfg = open_config(DEMO)
    cfg.model.backbone.compile, cfg.memory = True, ['frozen_int8']
    with pytest.raises(ValueError, match='frozen_int8 does not suit this training: its backbone is compiled'):
        named(cfg)


def test_a_detector_has_no_loss_over_pixels():
    cfg = open_config('mmest::demo/retinanet_swin_est')
    cfg.memory = 'lowest'
    assert 'loss_in_rows' not in [lever.name for lever in named(cfg)]


def test_levers_have_names_and_words_of_their_own():
    found = levers()
    assert all(lever.name and lever.does for lever in found)
    assert len({lever.name for lever in found}) == len({lever.order for lever in found}) == len(found)


@pytest.mark.parametrize(
    'method, memory, message',
    [
        ('est', ['frozen_bf61'], 'There is no lever on memory named "frozen_bf61". Did you mean frozen_bf16?'),
        ('est', ['xyz'], 'There are lowest, blocks_recomputed, frozen_bf16, '),
        ('full', ['frozen_bf16'], 'frozen_bf16 does not suit this training: Full trains inside the backbone. Leave'),
        ('e3va', ['frozen_bf16'], 'E3VA runs layers of the frozen backbone again'),
        ('full', ['frozen_int8'], 'frozen_int8 does not suit this training: Full trains inside the backbone. Leave'),
        ('est', ['frozen_bf16', 'frozen_int8'], 'The levers frozen_bf16 and frozen_int8 do the same. Name one'),
        ('lora', ['side_bf16'], 'LoRA is no network beside the backbone'),
        ('lst', ['side_int8'], 'what LST keeps for backward, if anything, does not stand 8 bits; side_bf16 may do'),
        ('steered_est', ['side_int8'], 'what SteeredEST keeps for backward'),
        ('est', ['side_bf16', 'side_int8'], 'The levers side_bf16 and side_int8 do the same. Name one of them.'),
        ('est', ['blocks_recomputed'], 'nothing runs backward through the blocks under EST'),
    ],
)
def test_what_does_not_suit_gets_a_sentence(method, memory, message):
    cfg = open_config(DEMO, tuning=method)
    cfg.memory = memory
    with pytest.raises(ValueError) as error:
        configure(cfg)
    assert message in str(error.value)


def with_optimizer(kind):
    cfg = open_config(DEMO)
    cfg.optim_wrapper.optimizer.type, cfg.memory = kind, ['adamw_8bit']
    return cfg


def test_states_in_8_bits_need_adamw_and_bitsandbytes(monkeypatch):
    monkeypatch.setitem(OPTIMIZERS._module_dict, 'AdamW8bit', None)
    with pytest.raises(ValueError, match='bitsandbytes is not there: pip install bitsandbytes'):
        configure(with_optimizer('AdamW'))
    monkeypatch.setitem(OPTIMIZERS._module_dict, 'AdamW8bit', torch.optim.AdamW)
    with pytest.raises(ValueError, match='its optimizer is SGD, not AdamW'):
        configure(with_optimizer('SGD'))
    cfg = with_optimizer('AdamW')
    for _ in range(2):
        configure(cfg)
    assert cfg.optim_wrapper.optimizer.type == 'AdamW8bit'


def test_states_in_8_bits_train_and_resume(weights, tmp_path):
    pytest.importorskip('bitsandbytes')
    states = []
    for folder in (tmp_path / 'whole', tmp_path / 'resumed'):
        cfg = toy_runner(weights, folder, ['adamw_8bit'], epochs=2)
        configure(cfg)
        cfg.optim_wrapper.optimizer.min_8bit_size = 64  # those of small weights stay in float32
        if states:
            folder.mkdir()
            (folder / 'epoch_1.pth').write_bytes((tmp_path / 'whole' / 'epoch_1.pth').read_bytes())
            cfg.resume, cfg.load_from = True, str(folder / 'epoch_1.pth')
        runner = Runner.from_cfg(cfg)
        runner.train()
        kinds = {getattr(v, 'dtype', None) for s in runner.optim_wrapper.optimizer.state.values() for v in s.values()}
        assert torch.uint8 in kinds
        states.append(runner.model.state_dict())
    assert all(torch.equal(states[0][name], value) for name, value in states[1].items())


def test_a_backbone_that_no_method_tunes_is_refused():
    cfg = open_config(DEMO)
    cfg.model.backbone, cfg.memory = dict(type='ESTBackbone', backbone=cfg.model.backbone.backbone), 'lowest'
    with pytest.raises(
        ValueError, match=r"memory=\['lowest'\] is for models whose backbone is a TunedBackbone .* --tuning"
    ):
        configure(cfg)


def test_commands_refuse_what_does_not_suit():
    said = command('train', 'mmest::demo/fpn_swin_full', '--memory', 'frozen_bf16')
    assert said.startswith('train: The lever frozen_bf16 does not suit this training')
    said = command('plan', DEMO, '--budget', '1GiB', '--tunings', 'full', '--memory', 'frozen_bf16')
    assert said.startswith('plan: The lever frozen_bf16 does not suit this training')


def test_the_ladder_goes_down(tmp_path):
    assert command('memory', DEMO, '--ladder', '--size', 128, 128, '--out', tmp_path / 'ladder.json') == ''
    rows = json.loads((tmp_path / 'ladder.json').read_text())['tunings']
    assert list(rows) == [
        'full', 'full, blocks_recomputed', 'partial, 3 blocks', 'partial, 2 blocks', 'frozen', 'est', '+ frozen_bf16',
        '+ side_int8', '+ heads_recomputed', '+ loss_in_rows', 'full, lowest',
    ]  # fmt: skip
    assert rows['+ side_int8']['memory'] == ['frozen_bf16', 'side_int8']
    peaks = [row['peak'] for row in list(rows.values())[5:10]]
    assert peaks == sorted(peaks, reverse=True) and peaks[-1] < 0.8 * peaks[0]
    assert rows['full, lowest']['peak'] < rows['full']['peak']


def test_measured_methods_get_the_levers_of_the_config():
    cfg = open_config(DEMO)
    cfg.memory = 'lowest'
    methods = {name: dict(type=METHODS[name]['type']) for name in ('full', 'est')}
    rows = compare_tunings(cfg, methods, (96, 96), 1)['tunings']
    assert {name: row['memory'] for name, row in rows.items()} == {name: LOWEST[name] for name in methods}


def toy_runner(weights, folder, memory, epochs=1):
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], folder, epochs)
    cfg.memory = memory
    return cfg


def test_a_runner_that_was_built_without_them_says_so(weights, tmp_path):
    with pytest.raises(ValueError, match='changes the model before it is built. Train by mmest train, or call'):
        Runner.from_cfg(toy_runner(weights, tmp_path, ['frozen_bf16'])).train()


def test_a_training_turns_them_on_and_remembers(weights, tmp_path):
    cfg = toy_runner(weights, tmp_path, ['frozen_bf16', 'side_bf16'])
    configure(cfg)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.model.backbone.backbone.patch_embed.projection.weight.dtype == torch.bfloat16
    inside = Config.fromstring(torch.load(tmp_path / 'epoch_1.pth')['meta']['cfg'], '.py')
    assert inside.memory == ['frozen_bf16', 'side_bf16'] and inside.model.backbone.saved_dtype == 'bf16'


def test_what_stays_as_it_is_is_logged(weights, tmp_path, monkeypatch):
    monkeypatch.setattr('mmest.levers.heads_recomputed.HeadsRecomputed.put_on', lambda self, model: ['X stays.'])
    Runner.from_cfg(toy_runner(weights, tmp_path, ['heads_recomputed'])).train()
    assert any('X stays.' in path.read_text() for path in tmp_path.rglob('*.log'))


def test_a_neck_runs_again(monkeypatch):
    model = torch.nn.Module()
    model.neck = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh())
    ran = []
    model.neck[0].register_forward_hook(lambda *_: ran.append(1))
    put_on(model, ['heads_recomputed'])
    model.neck(torch.ones(1, 3)).sum().backward()
    assert len(ran) == 2
