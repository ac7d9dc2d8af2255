"""A work folder is of one training: nothing of another is mixed with it, and nothing is removed before it can start."""

import shutil

import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from toy import METHODS, runner_cfg

from mmest.engine.run import RunFailed, run_training
from mmest.engine.work_folder import refuse_earlier_run, refuse_to_remove_the_start

EARLIER = (
    'epoch_1.pth',
    'epoch_7.pth',
    'best_mAP_epoch_7.pth',
    'last_checkpoint',
    '20260102_030405/vis_data/scalars.json',
)
MINE = 'best_mAP_epoch_2_whole.pth', 'model_whole.pth', 'notes.txt', 'config.py', '20240612_101500/1.jpg', 'a_b/c.txt'


@pytest.fixture
def work_dir(tmp_path):
    """The folder of an earlier run, with files of the user's."""
    for name in (*EARLIER, *MINE):
        path = tmp_path / 'work' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('earlier')
    return tmp_path / 'work'


@pytest.fixture
def train(work_dir, weights):
    """Trains for an epoch in that folder, in place of what is there."""

    def run(prepare=lambda cfg: None, **changes):
        cfg = runner_cfg('swin', METHODS['est'], weights['swin'], work_dir, epochs=1, **changes)
        prepare(cfg)
        run_training(cfg, 'none', overwrite=True)

    return run


def test_a_new_run_does_not_mix_with_another(work_dir, train, tmp_path):
    refuse_earlier_run(tmp_path / 'new')
    with pytest.raises(
        ValueError, match=r'holds another run: best_mAP_epoch_7.pth, epoch_1.pth, .*1 more.*--overwrite'
    ):
        refuse_earlier_run(work_dir)
    train()
    assert all((work_dir / name).read_text() == 'earlier' for name in MINE)
    assert {path.name for path in work_dir.glob('*.pth')} == {*MINE[:2], 'epoch_1.pth'}
    assert (work_dir / 'epoch_1.pth').stat().st_size > 100
    logs = [path.parent.parent.name for path in work_dir.glob('*/vis_data/scalars.json')]
    assert len(logs) == 1 and logs[0] not in EARLIER[-1], 'a report would take old losses for those of the new run'


@HOOKS.register_module(force=True)
class Refusal(Hook):
    """Refuses when all else is ready."""

    priority = 'VERY_LOW'

    def before_train(self, runner):
        raise ValueError('refused at the last moment')


TOO_LATE = [
    ('load_from', lambda cfg: cfg.merge_from_dict(dict(load_from='gone.pth'))),
    ('pretrained weights', lambda cfg: cfg.model.backbone.backbone.init_cfg.update(checkpoint='gone.pth')),
    ('no train_dataloader', lambda cfg: cfg.pop('train_dataloader')),
    ('NoSuchHook', lambda cfg: cfg.merge_from_dict(dict(custom_hooks=[dict(type='NoSuchHook')]))),
    ('no "learning_rate"', lambda cfg: cfg.optim_wrapper.optimizer.update(learning_rate=1)),
    ('random weights', lambda cfg: cfg.model.backbone.backbone.pop('init_cfg')),
    ('at the last moment', lambda cfg: cfg.custom_hooks.append(dict(type='Refusal'))),
]


@pytest.mark.parametrize('sentence, prepare', TOO_LATE, ids=[sentence for sentence, _ in TOO_LATE])
def test_a_training_that_cannot_start_removes_nothing(work_dir, train, sentence, prepare):
    with pytest.raises(RunFailed, match=sentence):
        train(prepare)
    assert all((work_dir / name).read_text() == 'earlier' for name in (*EARLIER, *MINE))


@pytest.mark.parametrize('named', ['load_from', 'init_cfg'])
@pytest.mark.parametrize('way', ['itself', 'link to it', 'it is a link', 'in the logs'])
def test_what_the_training_starts_from_is_not_removed(work_dir, weights, tmp_path, monkeypatch, named, way):
    monkeypatch.chdir(tmp_path)
    best = 'work/best_mAP_epoch_7.pth'
    if way == 'in the logs':
        best = 'work/20260102_030405/vis_data/copy.pth'
    shutil.copy(weights['swin'], tmp_path / best)
    if way == 'it is a link':
        (tmp_path / best).rename(tmp_path / 'elsewhere.pth')
        (tmp_path / best).symlink_to(tmp_path / 'elsewhere.pth')
    elif way == 'link to it':
        (tmp_path / 'link.pth').symlink_to(tmp_path / best)
        best = 'link.pth'
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], 'work')
    refuse_to_remove_the_start(cfg)
    if named == 'load_from':
        cfg.load_from = best
    else:
        cfg.model.backbone.backbone.init_cfg.checkpoint = best
    with pytest.raises(
        ValueError, match=f'starts from {best}, which --overwrite would remove. Take another --work-dir'
    ):
        refuse_to_remove_the_start(cfg)


def test_of_several_processes_the_first_looks(work_dir, weights, monkeypatch):
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], work_dir, load_from=str(work_dir / 'epoch_1.pth'))
    monkeypatch.setenv('RANK', '1')
    refuse_earlier_run(work_dir)
    refuse_to_remove_the_start(cfg)
