"""Trainings with a feature cache, killed ones among them."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS
from mmengine.runner import Runner
from processes import run_in_processes
from torch.utils.data import Dataset
from toy import METHODS, runner_cfg

from mmest.backbones import tuned_backbones
from mmest.engine.features import store
from mmest.engine.features.hook import use_feature_cache
from mmest.engine.launch import build_runner


@DATASETS.register_module(force=True)
class StillData(Dataset):
    """Twelve noise images that are always the same."""

    metainfo = dict(classes=('dark', 'bright'))

    def __len__(self):
        return 12

    def __getitem__(self, index):
        x = torch.from_numpy(np.random.RandomState(index).rand(3, 64, 64).astype('float32'))
        return dict(inputs=x, target=(x[0] > 0.5).long())


def config(weights, folder, method='est', **changes):
    cfg = runner_cfg('swin', METHODS[method], weights, folder, epochs=changes.pop('epochs', 3), **changes)
    cfg.train_dataloader.dataset.type = 'StillData'
    return cfg


def train(cfg, features=None):
    """The loss of each step, the model, and how many images the backbone was given."""
    runner, images = Runner.from_cfg(cfg), []
    if features:
        use_feature_cache(runner, features, 1)
    tuned = tuned_backbones(runner.model)[0][1]
    tuned.backbone.register_forward_pre_hook(lambda _, args: images.append(len(args[0])))
    runner.train()
    state = torch.load(Path(cfg.work_dir, f'epoch_{cfg.train_cfg.max_epochs}.pth'))
    return state['message_hub']['log_scalars']['train/loss']['history_buffer'][0], state['state_dict'], sum(images)


@pytest.mark.parametrize('method', ['est', 'frozen'])
def test_the_backbone_runs_once_for_each_image(method, weights, tmp_path):
    without, _, ran = train(config(weights['swin'], tmp_path / 'without', method))
    assert ran == 3 * 12
    first, state, ran = train(config(weights['swin'], tmp_path / 'first', method), tmp_path / 'features')
    assert ran == 12 + 1, 'and once to see the shapes of its maps'
    again, other, ran = train(config(weights['swin'], tmp_path / 'again', method), tmp_path / 'features')
    assert ran == 1
    assert torch.equal(first, again) and all(torch.equal(value, other[key]) for key, value in state.items())
    torch.testing.assert_close(first, without, rtol=0.01, atol=0)


def test_another_file_of_weights_or_method_has_a_cache_of_its_own(weights, tmp_path):
    content = torch.load(weights['swin'])
    content['state_dict']['backbone.stages.0.blocks.0.norm1.bias'] += 1
    torch.save(content, tmp_path / 'other.pth')
    for number, (file, method) in enumerate(
        [(weights['swin'], 'est'), (tmp_path / 'other.pth', 'est'), (weights['swin'], 'frozen')]
    ):
        _, _, ran = train(config(file, tmp_path / str(number), method, epochs=1), tmp_path / 'features')
        assert ran == 12 + 1
    assert len(list((tmp_path / 'features').iterdir())) == 3
    (tmp_path / 'moved.pth').write_bytes(Path(weights['swin']).read_bytes())
    assert train(config(tmp_path / 'moved.pth', tmp_path / 'same', epochs=1), tmp_path / 'features')[2] == 1


def test_what_it_takes_is_said_before_it_starts(weights, tmp_path, capsys):
    train(config(weights['swin'], tmp_path / 'work', epochs=1), tmp_path / 'features')
    said = ' '.join(capsys.readouterr().out.split())
    about = json.loads(next((tmp_path / 'features').glob('*/about.json')).read_text())
    numbers = sum(np.prod(shape) for shape, _, _ in about['maps'])
    assert f'in {tmp_path}/features' in said and '12 images in 1 views of' in said
    assert next((tmp_path / 'features').glob('*/maps.bin')).stat().st_size == 12 * 2 * numbers


@pytest.mark.parametrize('method', [name for name in METHODS if name not in ('est', 'frozen')])
def test_methods_are_taken_or_refused_in_a_sentence(method, weights, tmp_path):
    runner = Runner.from_cfg(config(weights['swin'], tmp_path / 'work', method))
    tuned = tuned_backbones(runner.model)[0][1]
    if tuned.method.beside and tuned.method.reads_taps_alone:
        return use_feature_cache(runner, tmp_path, 1)
    with pytest.raises(ValueError, match=r'--cache-features, or take') as said:
        use_feature_cache(runner, tmp_path, 1)
    assert tuned.method.beside == ('reads more' in str(said.value))


@pytest.mark.parametrize('changes', [dict(folder=None), dict(views=0), dict(views='2')])
def test_keys_that_make_no_cache(changes, weights, tmp_path):
    runner = Runner.from_cfg(config(weights['swin'], tmp_path / 'work'))
    with pytest.raises(ValueError, match='feature_cache should be a folder, and a number of views'):
        use_feature_cache(runner, **dict(dict(folder=tmp_path, views=1), **changes))


def test_images_of_several_sizes_are_refused(weights, tmp_path, monkeypatch):
    def sample(self, index):
        return dict(inputs=torch.zeros(3, 64, 64 + 32 * (index == 11)), target=torch.zeros(64, 64).long())

    monkeypatch.setattr(StillData, '__getitem__', sample)
    with pytest.raises(ValueError, match='images of one size, but the pipeline gives 64×64 and 64×96'):
        train(config(weights['swin'], tmp_path / 'work'), tmp_path / 'features')


def test_images_that_change_behind_the_pipeline_are_refused(weights, tmp_path):
    runner = Runner.from_cfg(config(weights['swin'], tmp_path / 'work'))
    runner.model.data_preprocessor.batch_augments = [torch.nn.Identity()]
    with pytest.raises(ValueError, match='model.data_preprocessor.batch_augments changes them at random. Take it out'):
        use_feature_cache(runner, tmp_path, 1)


def train_and_die(rank, weights, folder, features, writes):
    """Killed in the middle of a write, after so many whole ones."""
    write, done = store._write, []

    def half(file, content, offset):
        if len(done) == writes:
            write(file, content[: len(content) // 2], offset)
            os.kill(os.getpid(), signal.SIGKILL)
        done.append(write(file, content, offset))

    store._write = half
    train(config(weights, folder), features)


def test_a_training_that_is_killed_leaves_nothing_wrong(weights, tmp_path):
    """Killed while maps and records are written; then a training with what is there is the one with nothing there."""
    losses, state, ran = train(config(weights['swin'], tmp_path / 'whole'), tmp_path / 'whole_features')
    features = tmp_path / 'features'
    for number, writes in enumerate([4, 5, 0, 7]):  # of maps, of a record, of maps, of a record
        killed = tmp_path / f'killed{number}'
        with pytest.raises(AssertionError) as error:
            run_in_processes(train_and_die, 1, killed, weights['swin'], killed, features, writes)
        assert 'SIGKILL' in str(error.value.__cause__)
    kept = next(features.glob('*/journal.bin')).stat().st_size // 24
    assert kept == 2 + 2 + 0 + 3
    again, other, other_ran = train(config(weights['swin'], tmp_path / 'last'), features)
    assert (ran, other_ran) == (12 + 1, 12 - kept + 1)
    assert torch.equal(losses, again) and all(torch.equal(value, other[key]) for key, value in state.items())


def train_in_process(rank, weights, folder):
    cfg = config(weights, folder / 'work')
    cfg.train_dataloader.batch_size = 2
    runner, images = build_runner(cfg, 'pytorch'), []
    use_feature_cache(runner, folder / 'features', 1)
    tuned = tuned_backbones(runner.model)[0][1]
    tuned.backbone.register_forward_pre_hook(lambda _, args: images.append(len(args[0])))
    runner.train()
    (folder / f'images{rank}').write_text(str(sum(images)))


def test_two_processes_share_a_cache(weights, tmp_path):
    run_in_processes(train_in_process, 2, tmp_path / 'errors', weights['swin'], tmp_path)
    ran = sum(int((tmp_path / f'images{rank}').read_text()) for rank in (0, 1))
    assert ran == 12 + 2
