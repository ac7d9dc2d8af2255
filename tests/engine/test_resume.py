"""What cannot be resumed, and what would be mixed, is refused."""

import os
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from toy import METHODS, ToyData, runner_cfg

from mmest.checkpoints.safe import load_file
from mmest.engine.repeatable_training import _reasons
from mmest.engine.resume import check_load_from, check_same_method, latest_complete_checkpoint


@pytest.fixture(scope='module')
def folder(weights, tmp_path_factory):
    work_dir = tmp_path_factory.mktemp('resume')
    Runner.from_cfg(runner_cfg('swin', METHODS['est'], weights['swin'], work_dir)).train()
    return work_dir


@pytest.fixture
def resume(folder, weights, tmp_path):
    """Resumes a changed copy of the checkpoint after the first epoch."""

    def call(edit=lambda file: None, tuning='est', model=None, **changes):
        file = torch.load(folder / 'epoch_1.pth', weights_only=True)
        edit(file)
        torch.save(file, tmp_path / 'epoch_1.pth')
        changes = dict(changes, resume=True, load_from=str(tmp_path / 'epoch_1.pth'))
        cfg = runner_cfg('swin', METHODS[tuning], weights['swin'], tmp_path, **changes)
        cfg.model.update(model or {})
        Runner.from_cfg(cfg).train()
        return load_file(tmp_path / 'epoch_2.pth')['state_dict']

    return call


@pytest.mark.parametrize(
    'names, words',
    [
        (['optimizer'], 'lacks the state of the optimizer '),
        (['param_schedulers'], 'lacks that of the learning rate schedule '),
        (['optimizer', 'param_schedulers'], 'lacks the state of the optimizer and that of the learning rate schedule '),
    ],
)
def test_a_part_is_missing(resume, folder, names, words):
    def edit(file):
        for name in names:
            del file[name]

    with pytest.raises(ValueError, match=words):
        resume(edit)
    allowed, whole = resume(edit, allow_partial_resume=True), load_file(folder / 'epoch_2.pth')['state_dict']
    same = all(torch.equal(allowed[name], whole[name]) for name in whole if 'info' not in name)
    assert same == ('optimizer' not in names)


def test_with_all_its_parts_it_gives_the_same_weights(resume, folder):
    resumed, whole = resume(), load_file(folder / 'epoch_2.pth')['state_dict']
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


COSINE = dict(type='CosineAnnealingLR', T_max=2, begin=0, end=2)


@pytest.mark.parametrize(
    'changes, said',
    [
        ({}, None),
        (dict(optim_wrapper=dict(optimizer=dict(lr=0.01))), 'lr 0.001, not 0.01.'),
        (dict(optim_wrapper=dict(optimizer=dict(weight_decay=0.5))), 'weight_decay 0.01, not 0.5.'),
        (dict(optim_wrapper=dict(optimizer=dict(betas=(0.5, 0.9)))), 'betas (0.9, 0.999), not (0.5, 0.9).'),
        (
            dict(param_scheduler=[dict(type='LinearLR', start_factor=0.5, begin=0, end=4)]),
            'LinearLR total_iters 1, not 3; LinearLR end 2, not 4.',
        ),
        (dict(param_scheduler=[COSINE, COSINE]), 'schedules: 1, not 2.'),
        (dict(param_scheduler=[COSINE]), 'a schedule other than CosineAnnealingLR.'),
        (dict(param_scheduler=[]), 'schedules: 1, not 0.'),
    ],
)
def test_settings_that_are_kept_are_said(resume, monkeypatch, changes, said):
    warned = []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, text, *args: warned.append(str(text)))
    resume(**changes)
    texts = [text for text in warned if text.startswith('The checkpoint was trained by other settings')]
    assert len(texts) == (said is not None)
    assert not said or f'than those of the config: {said} A resumed training keeps those' in texts[0]


@pytest.mark.parametrize(
    'step, changes, said',
    [
        (3, {}, None),
        (3, dict(randomness=dict(seed=4)), 'the seed was 3, and the config names 4, .* Pass --seed 3'),
        (3, dict(randomness=dict(seed=None)), 'the seed was 3, and the config names none, .* Pass --seed 3'),
        (
            3,
            dict(optim_wrapper=dict(accumulative_counts=2)),
            'of step 3, .* over 2 steps .*the last 1 are lost, so the next update is of 1 steps. All others',
        ),
        (2, {}, 'of step 2, and epochs have 3 here, so that epoch 2 begins anew .*by_epoch=True'),
    ],
)
def test_what_keeps_the_losses_from_being_the_same_is_said(resume, monkeypatch, step, changes, said):
    warned = []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, text, *args: warned.append(str(text)))
    resume(lambda file: file['meta'].update(iter=step), **changes)
    texts = [text for text in warned if text.startswith('The losses will not be those of a training')]
    assert len(texts) == (said is not None) and (not said or re.search(said, texts[0]))


def test_checkpoints_by_iterations_can_be_written_where_nothing_is_summed():
    loop = SimpleNamespace(dataloader=SimpleNamespace(dataset=None, num_workers=1))
    wrapper = SimpleNamespace(_accumulative_counts=8)
    runner = SimpleNamespace(_randomness_cfg={}, optim_wrapper=wrapper, train_loop=loop)
    (said,) = _reasons(runner, dict(iter=13))
    assert 'those of the last 5 are lost, so the next update is of 3 steps. Write checkpoints at multiples of 8' in said
    assert not list(_reasons(runner, dict(iter=16)))


def test_images_that_a_process_keeps_from_epoch_to_epoch_are_said(resume, monkeypatch):
    warned = []
    monkeypatch.setattr(MMLogger, 'warning', lambda self, text, *args: warned.append(str(text)))
    monkeypatch.setattr(ToyData, 'pipeline', Compose([dict(type='mmdet.CachedMosaic')]), raising=False)
    resume()
    assert any('CachedMosaic mixes in images of epochs before' in text for text in warned)


@pytest.mark.parametrize(
    'edit',
    [
        lambda f: f['meta'].pop('epoch'),
        lambda f: f['meta'].pop('iter'),
        lambda f: f.pop('message_hub'),
        lambda f: f.pop('state_dict'),
    ],
)
def test_it_does_not_say_how_far_it_was(resume, edit):
    with pytest.raises(ValueError, match='cannot be resumed from: .* load_from=FILE'):
        resume(edit)


@pytest.mark.parametrize('allowed', [False, True])
@pytest.mark.parametrize('tuning', ['lora', 'full', 'frozen'])
def test_another_method(resume, tuning, allowed):
    with pytest.raises(ValueError, match='optimizer in the checkpoint holds|tuned by EST; here is .* tuned'):
        resume(tuning=tuning, allow_partial_resume=allowed)


@pytest.mark.parametrize('tuning, fits', [('est', True), ('lora', False), ('full', False)])
def test_another_method_is_known_before_a_runner_is_built(folder, weights, tmp_path, tuning, fits):
    cfg = runner_cfg('swin', METHODS[tuning], weights['swin'], tmp_path)
    if fits:
        check_same_method(cfg, folder / 'epoch_1.pth')
    else:
        with pytest.raises(ValueError, match='was trained by EST, but the config tunes by .*another --work-dir'):
            check_same_method(cfg, folder / 'epoch_1.pth')


@pytest.mark.parametrize(
    'around',
    [lambda model: dict(type='Student', student=model), lambda model: dict(model, backbone=dict(type='Plain'))],
)
def test_where_the_backbone_of_the_config_has_no_method_none_is_compared(folder, weights, tmp_path, around):
    """As where a semi-supervised detector has it in its student."""
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path)
    cfg.model = around(cfg.model)
    check_same_method(cfg, folder / 'epoch_1.pth')


def test_another_model(resume):
    with pytest.raises(ValueError, match='tensors of ToyModel are not in the checkpoint, first: size mismatch'):
        resume(model=dict(classes=3))


def test_an_optimizer_of_other_groups(resume):
    def edit(file):
        file['optimizer']['param_groups'] = file['optimizer']['param_groups'][:1]

    with pytest.raises(ValueError, match='The optimizer in the checkpoint holds groups of .* different trainings'):
        resume(edit)


@pytest.mark.parametrize('kind', [dict(type='SGD', momentum=0.9), dict(type='RMSprop')])
def test_another_optimizer(resume, kind):
    with pytest.raises(ValueError, match=f'is another one: it has betas.*, and {kind["type"]} of the config has .*mom'):
        resume(optim_wrapper=dict(optimizer=dict(kind, _delete_=True, lr=1e-3, weight_decay=0.01)))


@pytest.mark.parametrize('source, is_there', [(None, True), ('nowhere.pth', False), ('https://host/x.pth', True)])
def test_a_start_that_is_not_there(source, is_there):
    from mmengine.config import Config

    if is_there:
        check_load_from(Config(dict(load_from=source)))
    else:
        with pytest.raises(FileNotFoundError, match='There is no checkpoint file "nowhere.pth", which load_from names'):
            check_load_from(Config(dict(load_from=source)))


@DATASETS.register_module(force=True)
class DrawnData(ToyData):
    """Each image is filled with two numbers that are drawn."""

    def __getitem__(self, index):
        drawn = torch.tensor([np.random.rand(), torch.rand(1).item()])
        return dict(super().__getitem__(index), inputs=drawn.view(1, 2, 1).expand(3, 2, 64).repeat(1, 32, 1))


class Drawn(Hook):
    """What was drawn in each step, by epoch."""

    def __init__(self):
        self.by_epoch = {}

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.by_epoch.setdefault(runner.epoch, []).append(data_batch['inputs'][:, 0, :2, 0])


def test_workers_draw_other_numbers_in_every_epoch_and_the_same_after_resuming(weights, tmp_path):
    loader = dict(num_workers=1, persistent_workers=False, dataset=dict(type='DrawnData'))

    def drawn(folder, **changes):
        cfg = runner_cfg('swin', METHODS['frozen'], weights['swin'], folder, train_dataloader=loader, **changes)
        runner, hook = Runner.from_cfg(cfg), Drawn()
        runner.register_hook(hook)
        runner.train()
        return {epoch: torch.cat(steps) for epoch, steps in hook.by_epoch.items()}

    whole = drawn(tmp_path / 'whole')
    resumed = drawn(tmp_path / 'resumed', resume=True, load_from=str(tmp_path / 'whole' / 'epoch_1.pth'))
    assert whole[0].shape == whole[1].shape == (12, 2) and not (whole[0] == whole[1]).any()
    assert list(resumed) == [1] and torch.equal(resumed[1], whole[1])


@pytest.mark.parametrize('marker', [b'', b'\xff\xfe\x81', bytes(40)])
def test_a_damaged_marker_names_no_checkpoint(folder, tmp_path, marker):
    shutil.copy(folder / 'epoch_1.pth', tmp_path)
    (tmp_path / 'last_checkpoint').write_bytes(marker)
    assert latest_complete_checkpoint(tmp_path) == tmp_path / 'epoch_1.pth'


def test_of_several_checkpoints_without_a_marker_the_newest_is_meant(folder, tmp_path):
    """Whatever its number: of a folder that was trained in anew, those of the run before may be higher."""
    for number, time in ((1, 200), (2, 300), (3, 100)):
        shutil.copy(folder / 'epoch_1.pth', tmp_path / f'epoch_{number}.pth')
        os.utime(tmp_path / f'epoch_{number}.pth', (time, time))
    assert latest_complete_checkpoint(tmp_path) == tmp_path / 'epoch_2.pth'


def test_a_marked_checkpoint_that_is_cut_off_is_passed_over(folder, tmp_path):
    shutil.copy(folder / 'epoch_1.pth', tmp_path)
    (tmp_path / 'epoch_2.pth').write_bytes((folder / 'epoch_2.pth').read_bytes()[:-1000])
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_2.pth'))
    assert latest_complete_checkpoint(tmp_path) == tmp_path / 'epoch_1.pth'
