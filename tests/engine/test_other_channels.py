"""Images of other channels than the backbone takes end in a sentence that names both numbers."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from toy import METHODS

from mmest.configs import configs_root
from mmest.engine.failures import explain

pytest.importorskip('mmseg')


def segmentor(channels: int, mean: list[float]):
    cfg = Config.fromfile(configs_root() / '_base_/models/light-fcn.py').model
    resnet = dict(type='ResNet', depth=18, base_channels=8, in_channels=channels)
    cfg.backbone = dict(type='TunedBackbone', tuning=METHODS['full'], backbone=resnet, allow_random=True)
    cfg.decode_head.update(in_channels=64, in_index=-1, channels=8, num_classes=2)
    cfg.data_preprocessor.update(mean=mean, std=[50.0] * len(mean), size=(64, 64))
    init_default_scope('mmseg')
    return MODELS.build(cfg)


@pytest.mark.parametrize(
    'takes, mean, loaded, said',
    [
        (4, [100.0] * 4, 3, "given images of 3 channels, but its backbone takes 4.*in_channels=3.*'unchanged'"),
        (4, [100.0], 3, "given images of 3 channels, but its backbone takes 4.*in_channels=3.*'unchanged'"),
        (1, [100.0], 3, "given images of 3 channels, but its backbone takes 1.*in_channels=3.*'grayscale'"),
        (3, [100.0] * 3, 4, 'given images of 4 channels, but its backbone takes 3'),
        (4, [100.0] * 3, 4, 'Images have 4 channels, but mean and std of the data_preprocessor have 3 values'),
    ],
)
def test_both_numbers_are_named(takes, mean, loaded, said):
    model = segmentor(takes, mean)
    batch = dict(inputs=[torch.zeros(loaded, 64, 64, dtype=torch.uint8)], data_samples=None)
    with pytest.raises(RuntimeError) as failure:
        model.val_step(batch)
    with pytest.raises(ValueError, match=said):
        raise ValueError(explain(failure.value, Config()))


@pytest.mark.parametrize('takes, mean, loaded', [(3, [100.0] * 3, 1), (4, [100.0], 4)])
def test_other_failures_are_left_alone(takes, mean, loaded):
    """One value normalises all channels, and three make three of grey."""
    model = segmentor(takes, mean)
    model.decode_head.convs[0].conv.weight.data = model.decode_head.convs[0].conv.weight.data[:, :1]
    batch = dict(inputs=[torch.zeros(loaded, 64, 64, dtype=torch.uint8)], data_samples=None)
    with pytest.raises(RuntimeError, match='channels, but got') as failure:
        model.val_step(batch)
    assert explain(failure.value, Config()) is None
