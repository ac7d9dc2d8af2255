"""Options that would change nothing are refused, with the keys that would."""

import pytest
from mmengine.config import Config

from mmest.configs import set_options
from mmest.unused_options import refuse_unused

TEXT = """
scale, data_root, classes, num_classes, mine, unused = (64, 64), 'data/x/', ('ship', 'plane'), 2, 'hm', None
pipeline = [dict(type='Load'), dict(type='Resize', scale=scale)]
block = dict(type='Swin', depths=[2, 2], width=3)
data = dict(type='CocoDataset', data_root=data_root, metainfo=dict(classes=classes), pipeline=pipeline)
train_dataloader = dict(batch_size=2, dataset=data)
val_dataloader = dict(batch_size=1, dataset=data)
val_evaluator = [dict(ann_file=data_root + 'val.json')]
model = dict(backbone=dict(type='Swin', depths=[2, 2], width=4), head=dict(num_classes=num_classes, stages=2))
optim_wrapper = dict(optimizer=dict(lr=0.1))
"""


@pytest.fixture
def cfg(tmp_path):
    (tmp_path / 'config.py').write_text(TEXT)
    return Config.fromfile(tmp_path / 'config.py')


@pytest.mark.parametrize(
    'option, keys',
    [
        ('scale', ['train_dataloader.dataset.pipeline.1.scale', 'val_dataloader.dataset.pipeline.1.scale']),
        ('classes', ['train_dataloader.dataset.metainfo.classes', 'val_dataloader.dataset.metainfo.classes']),
        (
            'data_root',
            ['train_dataloader.dataset.data_root', 'val_dataloader.dataset.data_root', 'val_evaluator.0.ann_file'],
        ),
        ('num_classes', ['model.head.num_classes']),
        ('pipeline.1.scale', ['train_dataloader.dataset.pipeline.1.scale', 'val_dataloader.dataset.pipeline.1.scale']),
        ('data.pipeline', ['train_dataloader.dataset.pipeline', 'val_dataloader.dataset.pipeline']),
        ('block.depths', ['model.backbone.depths']),
        # No variables, but names that people remember.
        ('lr', ['optim_wrapper.optimizer.lr']),
        ('batch_size', ['train_dataloader.batch_size', 'val_dataloader.batch_size']),
    ],
)
def test_keys_that_would_work_are_named(cfg, option, keys):
    with pytest.raises(ValueError) as error:
        set_options(cfg, {option: 5})
    assert str(error.value).startswith(f'Setting {option} changes nothing: ')
    assert str(error.value).endswith(f'once it is read. Set {", ".join(keys)}.')
    set_options(cfg, dict.fromkeys(keys, 5))  # and they do


@pytest.mark.parametrize(
    'option, hint', [('modle.head.x', 'Did you mean model.head.x?'), ('xyzzy', 'Look for its key there.')]
)
def test_names_that_nothing_has(cfg, option, hint):
    with pytest.raises(ValueError, match=rf'^Setting {option} changes nothing: .* {hint[:-1]}'):
        set_options(cfg, {option: 5})


@pytest.mark.parametrize('option', ['mine', 'unused', 'model.head.stages', 'randomness.seed', 'custom_hooks'])
def test_what_is_read_or_may_be_passes(cfg, option):
    refuse_unused(cfg, {option: 5})
