"""What an error out of a training is told as."""

import errno

import pytest
import torch
from mmengine.config import Config
from torch import nn
from toy import METHODS, runner_cfg

from mmest.engine.failures import explain


@pytest.mark.parametrize(
    ('changes', 'tries'),
    [
        (
            {},
            'Try --memory lowest, or --amp, or --cfg-options train_dataloader.batch_size=2 (--batch 2 beside --data), '
            'or smaller images; `mmest plan',
        ),
        ({'memory': ['side_bf16']}, 'Try --amp, or --cfg-options'),
        (
            {'memory': ['side_bf16'], 'optim_wrapper.type': 'AmpOptimWrapper', 'train_dataloader.batch_size': 1},
            'Try smaller images; `mmest plan',
        ),
        ({'model.backbone.tuning.type': 'LoRA'}, 'or --tuning est, which keeps less, or smaller images; `mmest plan'),
    ],
)
def test_too_little_memory_says_what_is_left_to_try(changes, tries, tmp_path):
    tried = runner_cfg('swin', METHODS['est'], tmp_path / 'weights.pth', tmp_path)
    tried.merge_from_dict(changes)
    assert tries in explain(MemoryError(), tried)


class Pooling(nn.Module):
    """Of UPerHead what ends with one image."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)

    def forward(self, x):
        return self.norm(x.mean((2, 3), keepdim=True))


class Segmentor(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.decode_head = Pooling()

    def train_step(self, data):
        return self.decode_head(data)


@pytest.mark.parametrize('head', [dict(norm_cfg=dict(type='SyncBN')), dict()])
def test_a_batch_norm_of_one_image_says_what_to_set(head):
    with pytest.raises(ValueError) as raised:
        Segmentor().train_step(torch.rand(1, 4, 3, 3))
    said = explain(raised.value, Config(dict(model=dict(decode_head=head))))
    assert (
        said.startswith('A batch norm of decode_head was given one image') and 'train_dataloader.batch_size=2' in said
    )
    assert ('model.decode_head.norm_cfg.type=GN' in said) == bool(head)


@pytest.mark.parametrize('wrapper, said', [('Bfloat16OptimWrapper', 'Train without --amp'), ('OptimWrapper', '')])
def test_rotated_boxes_in_half_precision_get_a_sentence(wrapper, said):
    inside = dict(__name__='mmrotate.structures.bbox')
    exec('def turn():\n    raise TypeError("Got unsupported ScalarType BFloat16")', inside)
    with pytest.raises(TypeError) as raised:
        inside['turn']()
    assert said in (explain(raised.value, Config(dict(optim_wrapper=dict(type=wrapper)))) or '')


@pytest.mark.parametrize(
    'place, said',
    [
        (None, 'Writing to {0} failed: Permission denied. Make room'),
        ('', 'Writing to {0} failed: Permission denied. Make room'),
        ('a/b.pth', 'Writing to {0} failed: Permission denied. Make room'),
        ('../other/b.png', '{0}/../other/b.png cannot be read or written: Permission denied.'),
    ],
)
def test_what_lies_elsewhere_is_not_told_as_written_to_the_work_folder(place, said, tmp_path):
    work = tmp_path / 'work'
    error = PermissionError(errno.EACCES, 'Permission denied', None if place is None else f'{work}/{place}'.rstrip('/'))
    assert explain(error, Config(dict(model={}, work_dir=str(work)))).startswith(said.format(work))
    error.filename = f'{work}2/b.png'
    assert explain(error, Config(dict(model={}, work_dir=str(work)))).startswith(f'{work}2/b.png cannot be read')
