"""The hook that makes a resumed training repeat what one without interruption would have done."""

from collections.abc import Iterator

from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmest.engine.random_numbers import reseed_epoch, reseed_iteration, reseed_workers
from mmest.frameworks import replay_when_resuming


class RepeatableTraining(Hook):
    """Random numbers depend on the seed and the step alone."""

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        for reason in _reasons(runner, checkpoint.get('meta') or {}) if runner._resume else ():
            runner.logger.warning(f'The losses will not be those of a training that was never interrupted: {reason}')

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


def _reasons(runner: Runner, meta: dict) -> Iterator[str]:
    """Why a training that resumes from a checkpoint of these facts does not repeat what was."""
    seed, step, epoch = runner._randomness_cfg.get('seed'), meta.get('iter', 0), meta.get('epoch', 0)
    if meta.get('seed', seed) != seed:
        yield (
            f'the seed was {meta["seed"]}, and the config names {"none" if seed is None else seed}, by which the order '
            f'of the images is drawn. Pass --seed {meta["seed"]}.'
        )
    sums, loop = getattr(runner.optim_wrapper, '_accumulative_counts', 1), runner.train_loop
    if step % sums:
        # Where checkpoints are written by epochs, few of these end at such a multiple, or none.
        by_epoch = isinstance(loop, EpochBasedTrainLoop)
        yield (
            f'the checkpoint is of step {step}, gradients are summed over {sums} steps (accumulative_counts), and '
            f'those of the last {step % sums} are lost, so the next update is of {sums - step % sums} steps. '
            + ('All others are whole.' if by_epoch else f'Write checkpoints at multiples of {sums} steps.')
        )
    if isinstance(loop, EpochBasedTrainLoop) and step != epoch * len(loop.dataloader):
        yield (
            f'the checkpoint is of step {step}, and epochs have {len(loop.dataloader)} here, so that epoch {epoch + 1} '
            'begins anew while the steps count on. Write checkpoints by epochs '
            '(default_hooks.checkpoint.by_epoch=True), and resume with the same images and batch.'
        )
    cached = [name for name in _transforms(loop.dataloader.dataset) if name.startswith('Cached')]
    if cached and not loop.dataloader.num_workers:
        yield (
            f'{cached[0]} mixes in images of epochs before, which it keeps in this process '
            '(train_dataloader.num_workers=0) and no checkpoint has. Train with num_workers=1 or more to repeat losses.'
        )


def _transforms(dataset: object) -> Iterator[str]:
    """Names of the transforms of a data set, however it is wrapped."""
    steps = getattr(dataset, 'pipeline', None)
    yield from (type(step).__name__ for step in getattr(steps, 'transforms', steps) or ())
    for inner in (getattr(dataset, 'dataset', None), *getattr(dataset, 'datasets', ())):
        if inner is not None:
            yield from _transforms(inner)
