"""The hook that makes up for a validation in which a training was interrupted."""

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, IterBasedTrainLoop, Runner

_LATEST = 'latest_validation'


class MissedValidation(Hook):
    """A resumed training first validates what its checkpoint holds, where a validation was due and the checkpoint knows
    of none: it is written before, and mmengine's loops validate after a training step only. Where that validation ends
    a training by epochs (early stopping), its next epoch has begun, and is trained.
    """

    def __init__(self) -> None:
        self._missed = False

    def before_train(self, runner: Runner) -> None:
        self._missed = runner.iter > 0 and _is_due(runner) and runner.message_hub.get_info(_LATEST) != runner.iter

    def before_train_epoch(self, runner: Runner) -> None:
        self._make_up(runner)

    def after_train(self, runner: Runner) -> None:
        self._make_up(runner)  # a training by epochs that is over begins no epoch

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        if isinstance(runner._train_loop, BaseLoop):  # to ask for the step would build it
            runner.message_hub.update_info(_LATEST, runner.iter)

    def _make_up(self, runner: Runner) -> None:
        if self._missed:
            self._missed = False
            runner.logger.info(f'The checkpoint has no validation after step {runner.iter}: it comes first.')
            runner.val_loop.run()


def _is_due(runner: Runner) -> bool:
    """Whether the loop would validate now, if the latest step were not of an earlier process."""
    loop = runner.train_loop
    if runner.val_loop is None or not isinstance(loop, (EpochBasedTrainLoop, IterBasedTrainLoop)):
        return False
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    if by_epoch and loop.iter != loop.epoch * len(loop.dataloader):
        return False
    done, end = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)
    loop._decide_current_val_interval()
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == end)
