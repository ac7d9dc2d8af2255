"""What is frozen stays so in models whose weights are averages of another's."""

import copy
from operator import attrgetter

import pytest
import torch
from mmdet.engine.hooks import MeanTeacherHook, sync_norm_hook
from mmengine.hooks import EMAHook, Hook, sync_buffer_hook
from mmengine.model import ExponentialMovingAverage
from mmengine.registry import MODELS
from mmengine.runner import Runner
from toy import METHODS, ToyModel, runner_cfg

from mmest.backbones.tuned_backbone import TunedBackbone
from mmest.checkpoints.digests import changed

STEPS = 12


@MODELS.register_module(force=True)
class OwnWay(ExponentialMovingAverage):
    """Averages otherwise than mmengine does, whatever has changed and what has not."""

    def update_parameters(self, model):
        for average, source in zip(self.module.parameters(), model.parameters()):
            if average.is_floating_point():
                average.data.mul_(0.9).add_(source.data, alpha=0.1)
        self.steps += 1


@MODELS.register_module(force=True)
class StudentAndTeacher(ToyModel):
    """As mmdet's semi-supervised detectors: no gradient reaches the teacher."""

    def __init__(self, backbone: dict) -> None:
        super().__init__(backbone)
        self.student, self.teacher = ToyModel(copy.deepcopy(backbone)), ToyModel(copy.deepcopy(backbone))
        del self.backbone
        self.teacher.eval().requires_grad_(False)

    def forward(self, inputs, target=None, mode='tensor'):
        self.teacher.eval()
        return self.student(inputs, target, mode)


@pytest.fixture
def train(weights, tmp_path):
    def run(method: str, backbone: str = 'resnet', epochs: int = STEPS // 3, **changes) -> Runner:
        checkpoints = dict(checkpoint=dict(type='CheckpointHook', interval=epochs))
        changes = {'default_hooks': checkpoints, **changes}
        cfg = runner_cfg(backbone, METHODS[method], weights[backbone], tmp_path, epochs, **changes)
        runner = Runner.from_cfg(cfg)
        runner.train()
        return runner

    return run


@pytest.mark.parametrize('dtype', [None, 'bf16', 'int8'])
@pytest.mark.parametrize(
    'kind', ['ExponentialMovingAverage', 'mmdet.ExpMomentumEMA', 'StochasticWeightAverage', 'OwnWay']
)
def test_an_average_of_what_is_frozen_is_that(train, tmp_path, kind, dtype):
    hooks = [dict(type='ESTHook'), dict(type='EMAHook', ema_type=kind, update_buffers=True)]
    runner = train('est', custom_hooks=hooks, model=dict(backbone=dict(frozen_dtype=dtype)))
    average = next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module
    mine, theirs = runner.model.backbone, average.backbone
    for kept in ('frozen_state', 'backbone.named_parameters', 'backbone.named_buffers'):
        for (name, a), (_, b) in zip(attrgetter(kept)(mine)(), attrgetter(kept)(theirs)(), strict=True):
            assert torch.equal(a, b) and a.dtype == b.dtype, name
    moved = changed(
        {name: str(p.sum()) for name, p in runner.model.named_parameters() if p.requires_grad},
        {name: str(p.sum()) for name, p in average.named_parameters()},
    )
    assert moved, 'what trains is averaged'


@pytest.mark.parametrize('method', ['est', 'partial', 'full'])
@pytest.mark.parametrize('update_buffers', [False, True])
def test_what_is_frozen_is_copied_once(train, monkeypatch, method, update_buffers):
    hooks = [dict(type='ESTHook'), dict(type='EMAHook', update_buffers=update_buffers)]
    copied, averaged = [], set()
    take, average = TunedBackbone.take_frozen_from, ExponentialMovingAverage.avg_func

    def see(self, mine, source, steps):
        averaged.add(source.data_ptr())
        average(self, mine, source, steps)

    monkeypatch.setattr(TunedBackbone, 'take_frozen_from', lambda *both: copied.append(take(*both)))
    monkeypatch.setattr(ExponentialMovingAverage, 'avg_func', see)
    runner = train(method, custom_hooks=hooks)
    trained = {p.data_ptr() for p in runner.model.parameters() if p.requires_grad}
    frozen = {x.data_ptr() for _, x in runner.model.backbone.frozen_state()}
    assert len(copied) == 1 and trained <= averaged and not averaged & frozen


@pytest.mark.parametrize(
    'method, dtype, more',
    [
        ('est', None, {}),
        ('lora', None, {}),
        ('full', None, {}),
        ('est', 'bf16', {}),
        ('est', 'int8', {}),
        ('est', 'int8', dict(skip_buffer=False)),
    ],
)
def test_a_teacher_moves_where_its_student_trains_and_nowhere_else(train, tmp_path, method, dtype, more):
    hooks = [dict(type='ESTHook'), dict(type='MeanTeacherHook', momentum=0.03, **more)]
    assert MeanTeacherHook.__name__ == hooks[1]['type']
    model = dict(type='StudentAndTeacher', backbone=dict(frozen_dtype=dtype))
    runner = train(method, model=model, custom_hooks=hooks)
    student, teacher = runner.model.student, runner.model.teacher
    frozen = {name for name, _ in student.backbone.frozen_state()}
    given, own = student.backbone.frozen_digests(), teacher.backbone.frozen_digests()
    assert {name: own[name] for name in frozen} == given
    trained = {name for name, p in student.named_parameters() if p.requires_grad}
    assert not all(torch.equal(student.get_parameter(n), teacher.get_parameter(n)) for n in trained)
    again = Runner.from_cfg(runner.cfg.copy()).model
    state = torch.load(tmp_path / f'epoch_{STEPS // 3}.pth', weights_only=True)['state_dict']
    again.load_state_dict(state)
    for part in (again.student, again.teacher):
        part.backbone.settle()  # 8 bits, which else wait for the first run
    for (name, mine), theirs in zip(runner.model.state_dict().items(), again.state_dict().values()):
        assert torch.equal(mine, theirs), name


@pytest.mark.parametrize('hooks', [[dict(type='ESTHook'), dict(type='EMAHook')], [dict(type='EMAHook')]])
def test_an_average_starts_from_what_its_model_starts_from(train, tmp_path, hooks):
    plain = {key.replace('.backbone.', '.'): value for key, value in train('full').model.state_dict().items()}
    plain.pop('head.0.weight')
    torch.save(dict(state_dict=plain), tmp_path / 'plain.pth')
    runner = train('est', load_from=str(tmp_path / 'plain.pth'), custom_hooks=hooks, epochs=1)
    average = next(hook for hook in runner.hooks if isinstance(hook, EMAHook)).ema_model.module
    for (name, mine), theirs in zip(runner.model.named_parameters(), average.parameters()):
        assert torch.allclose(mine, theirs, atol=0.01), name


@pytest.mark.parametrize('skip_buffer', [True, False])
def test_a_teacher_norms_taps_as_its_student_does(train, skip_buffer):
    hooks = [dict(type='ESTHook'), dict(type='MeanTeacherHook', momentum=0.03, skip_buffer=skip_buffer)]
    runner = train('est', model=dict(type='StudentAndTeacher'), custom_hooks=hooks, epochs=1)
    student, teacher = runner.model.student.backbone.method, runner.model.teacher.backbone.method
    seen = dict(student.named_buffers())
    assert seen['tap_norms.0.num_batches_tracked'] == 3
    assert all(torch.equal(value, seen[name]) for name, value in teacher.named_buffers())


def _mean_of_three(x: torch.Tensor) -> torch.Tensor:
    """Of processes that have the same value, as a sum of floats gives it: rounded."""
    return ((x.float() + x + x) / 3).to(x.dtype)


@pytest.mark.parametrize('kind', ['SyncNormHook', 'SyncBuffersHook'])
def test_the_mean_of_all_processes_leaves_what_is_frozen(train, monkeypatch, kind):
    averaged = []

    def reduce_params(values, op):
        for value in values:
            averaged.append(not torch.equal(value, _mean_of_three(value)))
            value.copy_(_mean_of_three(value))

    def reduce_dict(values, op):
        averaged.extend(not torch.equal(value, _mean_of_three(value)) for value in values.values())
        return {name: _mean_of_three(value) for name, value in values.items()}

    monkeypatch.setattr(sync_norm_hook, 'get_dist_info', lambda: (0, 3))
    monkeypatch.setattr(sync_norm_hook, 'all_reduce_dict', reduce_dict)
    monkeypatch.setattr(sync_buffer_hook, 'is_distributed', lambda: True)
    monkeypatch.setattr(sync_buffer_hook, 'all_reduce_params', reduce_params)

    class Validate(Hook):
        def after_train_epoch(self, runner) -> None:
            runner.call_hook('before_val_epoch')

    hooks = [dict(type='ESTHook'), dict(type=kind, priority=48), Validate()]
    runner = train('est', custom_hooks=hooks, epochs=1)  # which proves the bytes of what is frozen
    assert any(averaged) and runner.iter == 3


def test_the_mean_of_all_processes_is_that_of_norms_that_train(train, monkeypatch):
    monkeypatch.setattr(sync_norm_hook, 'get_dist_info', lambda: (0, 3))
    monkeypatch.setattr(
        sync_norm_hook,
        'all_reduce_dict',
        lambda values, op: {name: torch.full_like(value, 7) for name, value in values.items()},
    )

    class Validate(Hook):
        def after_train_epoch(self, runner) -> None:
            runner.call_hook('before_val_epoch')

    hooks = [dict(type='ESTHook'), dict(type='SyncNormHook', priority=48), Validate()]
    backbone = train('full', custom_hooks=hooks, epochs=1).model.backbone.backbone
    assert all((value == 7).all() for name, value in backbone.bn1.state_dict().items())
