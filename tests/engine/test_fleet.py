"""Several delta checkpoints over one frozen backbone in memory."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner, load_checkpoint
from toy import METHODS, image, runner_cfg

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.engine.fleet import Fleet

TASKS = ['est', 'lora', 'mona', 'bitfit']


@pytest.fixture
def fleet(monkeypatch):
    class Toy:  # the toy model is of neither framework
        scope = 'mmdet'

        def load(self, cfg, delta, device):
            model = MODELS.build(cfg.model)
            load_checkpoint(model, delta)
            model.cfg = cfg
            return model.eval()

    monkeypatch.setattr('mmest.engine.fleet.framework_of', lambda cfg: Toy())
    return Fleet()


@pytest.fixture(scope='module')
def deltas(weights, tmp_path_factory):
    init_default_scope('mmdet')
    found = {}
    for classes, name in enumerate(TASKS, 2):
        folder = tmp_path_factory.mktemp(name)
        Runner.from_cfg(
            runner_cfg('swin', METHODS[name], weights['swin'], folder, epochs=1, **{'model.classes': classes})
        ).train()
        found[name] = folder / 'epoch_1.pth'
    return found


def alone(delta):
    cfg = Config.fromstring(torch.load(delta, weights_only=False)['meta']['cfg'], '.py')
    model = MODELS.build(cfg.model)
    load_checkpoint(model, str(delta))
    return model.eval()


def test_tasks_of_different_methods_and_classes_switch_and_leave(fleet, deltas):
    wanted = {}
    with torch.no_grad():
        for name in TASKS:
            wanted[name] = alone(deltas[name])(image())
            assert fleet.load(name, deltas[name]) is fleet.model
        assert fleet.names == TASKS and fleet.active == 'bitfit'
        for name in ('lora', 'est', 'bitfit', 'mona', 'est'):
            assert torch.equal(fleet.switch(name)(image()), wanted[name])
        assert len({tuple(w.shape) for w in wanted.values()}) == len(TASKS)
        fleet.remove('est')
        assert fleet.names == ['lora', 'mona', 'bitfit'] and fleet.active is None
        assert torch.equal(fleet['mona'](image()), wanted['mona'])
        fleet.load('est again', deltas['est'])
        assert torch.equal(fleet.model(image()), wanted['est'])


def test_frozen_weights_lie_in_memory_once(fleet, deltas):
    models = [fleet.load(name, deltas[name]) for name in ('est', 'lora', 'mona')]
    first, *others = [dict(tuned.frozen_state()) for model in models for _, tuned in tuned_backbones(model)]
    assert first and all(
        {key: t.data_ptr() for key, t in other.items()} == {key: t.data_ptr() for key, t in first.items()}
        for other in others
    )
    assert 'mona (active)' in fleet.table() and 'LoRA' in fleet.table()


def test_what_cannot_join(fleet, deltas, weights, tmp_path):
    fleet.load('a', deltas['est'])
    with pytest.raises(ValueError, match='has a task "a" already'):
        fleet.load('a', deltas['est'])
    with pytest.raises(KeyError, match='no task "b" in the fleet; it has a'):
        fleet.switch('b')
    for backbone, method, sentence in (
        ('vit', 'est', 'trained on another backbone than the tasks a'),
        ('swin', 'full', 'freezes nothing of its backbone'),
    ):
        folder = tmp_path / method
        Runner.from_cfg(runner_cfg(backbone, METHODS[method], weights[backbone], folder, epochs=1)).train()
        with pytest.raises(ValueError, match=sentence):
            fleet.load('c', folder / 'epoch_1.pth')
    assert fleet.names == ['a']
