"""The one hook that a training of a tuned model needs."""

from collections.abc import Callable

from mmengine.hooks import EMAHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmest.engine.averaged_weights import AveragedWeights
from mmest.engine.delta_checkpoint import DeltaCheckpoint
from mmest.engine.early_stopping import ResumedEarlyStopping
from mmest.engine.memory_levers import MemoryLevers
from mmest.engine.missed_validation import MissedValidation
from mmest.engine.peak_memory import PeakMemory
from mmest.engine.recomputation import Recomputation
from mmest.engine.repeatable_training import RepeatableTraining
from mmest.engine.settled_weights import SettledWeights
from mmest.engine.training_guard import TrainingGuard
from mmest.engine.whole_backbones import WholeBackbones
from mmest.mixed_precision import operators_in_fp32


@HOOKS.register_module()
class ESTHook(Hook):
    """For every training of a model with a TunedBackbone, whatever its method: a bundle of hooks of one duty each.

    :class:`TrainingGuard` proves that the run trained what it should and nothing else, :class:`DeltaCheckpoint` says
    what is written, :class:`RepeatableTraining` makes a resumed run the same, :class:`PeakMemory` tells the largest
    memory on CUDA, and :class:`MemoryLevers` does what ``memory`` in the config asks for.

    A TunedBackbone adds this hook to a runner that lacks it.

    Its priority lies between EMAHook, which swaps averaged weights into the checkpoint first, and LoggerHook, which
    resets CUDA's peak statistics after.
    """

    priority = 55

    def __init__(self) -> None:
        guard = TrainingGuard()
        self.parts: list[Hook] = [
            Recomputation(),
            MemoryLevers(),
            SettledWeights(),
            AveragedWeights(),
            ResumedEarlyStopping(),
            MissedValidation(),  # before the random numbers of an epoch are set
            RepeatableTraining(),
            guard,
            DeltaCheckpoint(guard),
            PeakMemory(),
            WholeBackbones(),  # after the guard's last proof
        ]

    def before_train(self, runner: Runner) -> None:
        times = sum(isinstance(hook, ESTHook) for hook in runner.hooks)
        if times > 1:
            raise ValueError(
                f'ESTHook is among the hooks of this training {times} times, and would take what is frozen out of each '
                'checkpoint as often. Name it once in custom_hooks.'
            )
        if any(isinstance(hook, EMAHook) for hook in runner.hooks[runner.hooks.index(self) :]):
            raise ValueError(
                'EMAHook must run before ESTHook, so that averaged weights are in the checkpoint when the '
                'frozen ones are taken out. Give EMAHook a priority below 55, or its default.'
            )
        if hasattr(runner.optim_wrapper, 'cast_dtype'):
            operators_in_fp32()
        for part in self.parts:
            part.before_train(runner)


def _every_part(stage: str) -> Callable:
    def call(self: ESTHook, runner: Runner, *args, **kwargs) -> None:
        for part in self.parts:
            getattr(part, stage)(runner, *args, **kwargs)

    return call


for _stage in set(Hook.stages) - {'before_train'}:
    setattr(ESTHook, _stage, _every_part(_stage))
