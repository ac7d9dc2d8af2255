"""The hook that keeps frozen weights out of averages."""

from collections.abc import Iterator

from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch import nn

from mmest.backbones.tuned_backbone import TunedBackbone, tuned_backbones
from mmest.engine.processes import bare


class AveragedWeights(Hook):
    """An average of one and the same value is that value but for rounding, step after step: what is frozen is copied
    into averaged models (EMAHook; the teacher of MeanTeacherHook) whenever these were updated.
    """

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        for source, average in _models(runner):
            for (_, tuned), (_, copy) in zip(tuned_backbones(source), tuned_backbones(average)):
                copy.take_frozen_from(tuned)


def _models(runner: Runner) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Each averaged model, behind the one whose average it is."""
    model = bare(runner)
    yield from ((model, hook.ema_model) for hook in runner.hooks if isinstance(hook, EMAHook))
    if _has_teacher(runner):
        yield model.student, model.teacher


def _has_teacher(runner: Runner) -> bool:
    return any(type(hook).__name__ == 'MeanTeacherHook' for hook in runner.hooks)


def teachers_of(runner: Runner) -> dict[str, TunedBackbone]:
    """Path of each tuned backbone whose weights are averages of another's, and that other."""
    if not _has_teacher(runner):
        return {}
    students = dict(tuned_backbones(bare(runner).student))
    return {f'teacher.{path}': students[path] for path, _ in tuned_backbones(bare(runner).teacher)}
