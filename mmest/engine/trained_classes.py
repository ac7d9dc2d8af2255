"""A checkpoint goes on with the classes that it was trained with, in their order."""

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from mmest.datasets.checks.report import some


class TrainedClassesHook(Hook):
    """Refuses to test or resume a checkpoint on data whose classes are others, or the same in another order: a number
    would stand for another class, and nothing would tell. A training that only starts from a checkpoint may have any.
    """

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare what the checkpoint says of its data with the data of the loop.

        Raises:
            ValueError: the classes differ.
        """
        trained = ((checkpoint.get('meta') or {}).get('dataset_meta') or {}).get('classes')
        for split, loop in (('train', runner._train_loop), ('test', runner._test_loop)):
            if not trained or not isinstance(loop, BaseLoop) or (split == 'train' and not runner._resume):
                continue
            names = (getattr(loop.dataloader.dataset, 'metainfo', None) or {}).get('classes')
            if names and list(names) != list(trained):
                raise ValueError(
                    f'The checkpoint was trained on the classes {some(trained, 8)}, but {split}_dataloader.dataset has '
                    f'{some(names, 8)}. Give the config the same names in the same order; files are matched by name.'
                )
