"""ESTHook: a run that ends well has trained, and no config can lose the hook."""

import re

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.runner import Runner
from toy import METHODS, runner_cfg, write_weights

from mmest.checkpoints.delta import DELTA_KEY
from mmest.engine.training_guard import InvalidTraining


@pytest.fixture(scope='module')
def swin(tmp_path_factory):
    return write_weights('swin', tmp_path_factory.mktemp('weights'))


def train(tmp_path, swin, hook: Hook | None = None, method: str = 'est', **changes) -> Runner:
    runner = Runner.from_cfg(runner_cfg('swin', METHODS[method], swin, tmp_path, **changes))
    if hook is not None:
        runner.register_hook(hook)
    runner.train()
    return runner


def logged(work_dir) -> str:
    return ''.join(path.read_text() for path in work_dir.rglob('*.log'))


class Act(Hook):
    """Does something to the model after one iteration."""

    def __init__(self, act, iteration: int = 0) -> None:
        self.act, self.iteration = act, iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        if runner.iter >= self.iteration:
            self.act(runner, outputs)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(force=True)
class OneRate:
    """A constructor of somebody's own, which skips what is frozen."""

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        pass

    def __call__(self, model) -> OptimWrapper:
        return OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3))


def test_losses_that_are_not_finite_stop_the_run(swin, tmp_path):
    spoil = Act(lambda runner, outputs: outputs.update(loss_box=torch.tensor(float('nan'))), iteration=1)
    with pytest.raises(InvalidTraining, match=r'^loss_box is nan and has not been finite since iteration 2: .*0\.00'):
        train(tmp_path, swin, spoil, epochs=3)


def test_one_overflow_is_no_divergence(swin, tmp_path):
    def spoil(runner, outputs):
        if runner.iter % 2:
            outputs.update(loss_box=torch.tensor(float('inf')))

    train(tmp_path, swin, Act(spoil), epochs=5)


def test_a_rate_that_is_far_too_high(swin, tmp_path):
    with pytest.raises(InvalidTraining, match='diverged'):
        train(tmp_path, swin, optim_wrapper=dict(optimizer=dict(lr=1e30)))


@pytest.mark.parametrize('method', ['est', 'full', 'lora'])
def test_weights_that_are_not_finite_are_never_written(swin, tmp_path, method):
    def spoil(runner, outputs):
        next(p for p in runner.model.backbone.parameters() if p.requires_grad).data.view(-1)[-1] = float('nan')

    with pytest.raises(InvalidTraining, match='1 trained tensors hold values that are not finite, first backbone'):
        # Whatever the loss makes of it.
        train(tmp_path, swin, Act(spoil, iteration=2), method=method)
    assert not list(tmp_path.glob('*.pth'))


def test_statistics_that_are_not_finite_are_never_written(swin, tmp_path):
    def spoil(runner, outputs):
        runner.model.backbone.method.tap_norms[0].running_mean.view(-1)[-1] = float('nan')

    with pytest.raises(InvalidTraining, match='hold values that are not finite, first backbone.*running_mean'):
        train(tmp_path, swin, Act(spoil, iteration=2))
    assert not list(tmp_path.glob('*.pth'))


def test_a_run_in_which_nothing_moves(swin, tmp_path):
    with pytest.raises(InvalidTraining, match='None of the .* tensors that train has moved'):
        train(tmp_path, swin, optim_wrapper=dict(optimizer=dict(lr=0.0)))


def test_a_run_in_which_the_method_does_not_move(swin, tmp_path):
    detach = Act(lambda runner, outputs: None)
    detach.before_train = lambda runner: runner.model.backbone.register_forward_hook(
        lambda _, args, maps: tuple(x.detach() for x in maps)
    )
    said = 'None of the .* tensors that EST trains in or beside backbone has moved'
    with pytest.raises(InvalidTraining, match=said):
        train(tmp_path, swin, detach, epochs=3)
    warnings = re.findall(f'Up to this checkpoint: {said}', logged(tmp_path))
    assert len(warnings) == 1, 'at the first checkpoint, not hours later, and once'


def test_a_method_that_a_schedule_holds_back_at_first(swin, tmp_path):
    late = Act(lambda runner, outputs: None)
    late.before_train_epoch = lambda runner: [
        group.update(lr=0.01 * runner.epoch) for group in runner.optim_wrapper.optimizer.param_groups
    ]
    train(tmp_path / 'late', swin, late, param_scheduler=[])
    assert 'Up to this checkpoint: None of the' in logged(tmp_path / 'late')
    train(tmp_path / 'soon', swin)
    assert 'Up to this checkpoint' not in logged(tmp_path / 'soon')


def test_a_run_that_was_over_already(swin, tmp_path):
    train(tmp_path, swin)
    train(tmp_path, swin, resume=True, load_from=str(tmp_path / 'epoch_2.pth'))


@pytest.mark.parametrize('hooks', [[], [dict(type='EMAHook', momentum=0.3)]])
def test_custom_hooks_of_a_child_config_do_not_lose_the_guard(swin, tmp_path, hooks):
    runner = train(tmp_path, swin, custom_hooks=hooks)
    assert [type(hook).__name__ for hook in runner.hooks].count('ESTHook') == 1
    checkpoint = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    assert f'backbone.{DELTA_KEY}' in checkpoint['state_dict']
    again = train(tmp_path, swin, custom_hooks=hooks, epochs=3, resume=True, load_from=str(tmp_path / 'epoch_2.pth'))
    assert again.iter == 9


def test_an_optimizer_that_holds_a_parameter_twice(swin, tmp_path):
    runner = Runner.from_cfg(runner_cfg('swin', METHODS['est'], swin, tmp_path))
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    group = runner.optim_wrapper.optimizer.param_groups[0]
    group['params'].append(group['params'][0])
    runner.model.init_weights()
    with pytest.raises(ValueError, match='The optimizer holds 1 parameters more than once, such as .*bypass_duplicate'):
        runner.call_hook('before_train')


def test_two_guards_are_refused(swin, tmp_path):
    with pytest.raises(ValueError, match='ESTHook is among the hooks of this training 2 times'):
        train(tmp_path, swin, custom_hooks=[dict(type='ESTHook'), dict(type='ESTHook')])


@pytest.mark.parametrize('constructor', ['OneRate', 'TrainableOptimWrapperConstructor'])
@pytest.mark.parametrize('factor', [1.0, 7.0])
def test_a_rate_that_the_constructor_leaves_out_is_said(swin, tmp_path, constructor, factor):
    tuning, optim = dict(backbone=dict(tuning=dict(lr_mult=factor))), dict(constructor=constructor)
    train(tmp_path, swin, epochs=1, model=tuning, optim_wrapper=optim)
    said = 'EST wants 7 times the rate of the config (lr_mult), but OneRate asks no method'
    assert (said in logged(tmp_path)) == (constructor == 'OneRate' and factor == 7)
