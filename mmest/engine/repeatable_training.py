"""The hook that makes a resumed training repeat what one without interruption would have done."""

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmest.engine.random_numbers import reseed_workers
from mmest.engine.resume import reseed_epoch, reseed_iteration
from mmest.frameworks import replay_when_resuming


class RepeatableTraining(Hook):
    """Random numbers depend on the seed and the step alone."""

    def before_train(self, runner: Runner) -> None:
        if isinstance(runner.train_loop, EpochBasedTrainLoop) and runner.train_dataloader.persistent_workers:
            runner.logger.warning(
                'train_dataloader.persistent_workers is True: the workers carry their random numbers from epoch to '
                'epoch, so a resumed training augments otherwise than one that was never interrupted. Set it to False '
                'to repeat losses.'
            )
        replay_when_resuming(runner.train_loop)

    def before_train_epoch(self, runner: Runner) -> None:
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            reseed_epoch(runner)
            reseed_workers(runner.train_dataloader, runner.seed, runner.epoch)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        reseed_iteration(runner)
