"""Other classes than a checkpoint was trained with are refused where they would be mixed up in silence."""

from types import SimpleNamespace

import pytest
from mmengine.runner import BaseLoop

from mmest.engine.trained_classes import TrainedClassesHook


class Loop(BaseLoop):
    def __init__(self, classes):
        self.dataloader = SimpleNamespace(dataset=SimpleNamespace(metainfo=dict(classes=classes)))

    def run(self):
        """Nothing."""


def loaded(train=None, test=None, resume=False, meta=('ship', 'plane')):
    runner = SimpleNamespace(_train_loop=train and Loop(train), _test_loop=test and Loop(test), _resume=resume)
    TrainedClassesHook().after_load_checkpoint(runner, dict(meta=dict(dataset_meta=dict(classes=meta))))


def test_the_same_classes_pass():
    loaded(test=['ship', 'plane'])
    loaded(train=('ship', 'plane'), resume=True)
    loaded(test=('a', 'b'), meta=None)


@pytest.mark.parametrize('names', [('plane', 'ship'), ('ship', 'car'), ('ship',)])
def test_others_are_refused(names):
    with pytest.raises(ValueError, match='trained on the classes ship, plane, but test_dataloader.dataset has'):
        loaded(test=names)
    with pytest.raises(ValueError, match='but train_dataloader.dataset has'):
        loaded(train=names, resume=True)
    loaded(train=names)
