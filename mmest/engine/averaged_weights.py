"""The hook that keeps frozen weights out of averages."""

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

from mmengine.hooks import EMAHook, Hook
from mmengine.model import BaseAveragedModel
from mmengine.runner import BaseLoop, Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from mmest.backbones.tuned_backbone import TunedBackbone, tuned_backbones
from mmest.engine.processes import bare, frozen_names

# Of mmdet and mmengine: the mean over all processes of norms, or of buffers, before a validation or after an epoch.
_OVER_PROCESSES = ('SyncNormHook', 'SyncBuffersHook')
_STAGES = ('before_val_epoch', 'after_train_epoch')


class AveragedWeights(Hook):
    """An average of one and the same value is that value but for rounding, step after step. Averaged models (EMAHook)
    get what is frozen once, and then average the rest; where a class averages in a way of its own, or a teacher does
    (MeanTeacherHook), what is frozen is copied whenever it was averaged.

    What is kept in 8 bits has no average, so a teacher's step passes over it.

    A teacher also gets what its student's method has seen of the taps: MeanTeacherHook passes over buffers, or averages
    them from where they start, which is no statistic of anything.
    """

    def __init__(self) -> None:
        #: Models with averages that are set right after each step, each average behind its source.
        self._moved: list[tuple[nn.Module, nn.Module]] = []

    def before_run(self, runner: Runner) -> None:
        """An average is copied before its model is initialised; where that may start fresh, so may the copy."""
        for hook in filter(_is_of_teachers, runner.hooks):
            hook.momentum_update = partial(_averaging_floats, hook.momentum_update)
        if isinstance(runner._train_loop, BaseLoop) and not runner._resume:
            for average in _averages(runner):
                for _, tuned in tuned_backbones(average):
                    tuned.expects_whole = False

    def before_train(self, runner: Runner) -> None:
        model = bare(runner)
        self._moved = [(model.student, model.teacher)] if _has_teacher(runner) else []
        for average in _averages(runner):
            _copy_frozen(model, average)
            if type(average).update_parameters is BaseAveragedModel.update_parameters:
                frozen = frozen_names(model)
                averaged = average.avg_parameters.items()
                average.avg_parameters = {name: value for name, value in averaged if name not in frozen}
            else:
                self._moved.append((model, average))
        for hook in runner.hooks:
            if type(hook).__name__ in _OVER_PROCESSES:
                for stage in _STAGES:
                    setattr(hook, stage, partial(_leaving_frozen, getattr(hook, stage)))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        for source, average in self._moved:
            _copy_frozen(source, average)
        if _has_teacher(runner):
            _copy_statistics(bare(runner).student, bare(runner).teacher)


def _averages(runner: Runner) -> list[BaseAveragedModel]:
    return [hook.ema_model for hook in runner.hooks if isinstance(hook, EMAHook)]


def _copy_frozen(source: nn.Module, average: nn.Module) -> None:
    for (_, tuned), (_, copy) in zip(tuned_backbones(source), tuned_backbones(average)):
        copy.take_frozen_from(tuned)


def _leaving_frozen(inner: Callable, runner: Runner, *args: Any, **kwargs: Any) -> None:
    kept = [(tensor, tensor.clone()) for tensor in _frozen_norms(bare(runner))]
    inner(runner, *args, **kwargs)
    for tensor, value in kept:
        tensor.copy_(value)


def _frozen_norms(model: nn.Module) -> Iterator[Tensor]:
    """The frozen buffers and the frozen parameters of norms."""
    for _, tuned in tuned_backbones(model):
        norms = [module for module in tuned.backbone.modules() if isinstance(module, _NormBase)]
        found = [*tuned.backbone.buffers(), *(p for norm in norms for p in norm.parameters())]
        trained = tuned.trained_inside()
        yield from (tensor.data for tensor in found if id(tensor) not in trained)


def _copy_statistics(student: nn.Module, teacher: nn.Module) -> None:
    for (_, tuned), (_, copy) in zip(tuned_backbones(student), tuned_backbones(teacher)):
        for value, own in zip(tuned.method.buffers(), copy.method.buffers()):
            own.copy_(value)


class _Floats:
    """Of a model's parameters those that have a mean."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self.state_dict = model.state_dict

    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        return ((name, p) for name, p in self._model.named_parameters() if p.is_floating_point())


def _averaging_floats(inner: Callable, model: nn.Module, momentum: float) -> None:
    inner(SimpleNamespace(student=_Floats(model.student), teacher=_Floats(model.teacher)), momentum)


def _is_of_teachers(hook: Hook) -> bool:
    return type(hook).__name__ == 'MeanTeacherHook'


def _has_teacher(runner: Runner) -> bool:
    return any(map(_is_of_teachers, runner.hooks))


def teachers_of(runner: Runner) -> dict[str, TunedBackbone]:
    """Path of each tuned backbone whose weights are averages of another's, and that other."""
    if not _has_teacher(runner):
        return {}
    students = dict(tuned_backbones(bare(runner).student))
    return {f'teacher.{path}': students[path] for path, _ in tuned_backbones(bare(runner).teacher)}
