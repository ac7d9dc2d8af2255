"""Checkpoints learn how large the training images were."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset, RepeatDataset
from PIL import Image

from mmest.engine.image_size import ImageSizeHook, middle_size


class Files(BaseDataset):
    def load_data_list(self):
        return [dict(img_path=str(path)) for path in sorted(self.paths)]

    def __init__(self, paths):
        self.paths = paths
        super().__init__(pipeline=[], metainfo=dict(classes=('a',)))


@pytest.mark.parametrize('wrapped', [False, True])
def test_the_middle_one_of_the_training_images(tmp_path, wrapped):
    for number, (width, height) in enumerate([(9, 9), (40, 30), (800, 600)]):
        Image.fromarray(np.zeros((height, width), np.uint8)).save(tmp_path / f'{number}.png')
    (tmp_path / '3.png').write_text('no image')
    dataset = Files(list(tmp_path.iterdir()))
    dataset = RepeatDataset(dataset, 2) if wrapped else dataset
    runner = SimpleNamespace(train_dataloader=SimpleNamespace(dataset=dataset), cfg=Config())
    ImageSizeHook().before_train(runner)
    assert dataset.metainfo == dict(classes=('a',), image_size=[40, 30])


def test_data_that_are_not_files():
    assert middle_size([1, 2, 3]) is None
