"""What training loads and prediction does not: tiles are RGB, whatever bands a file has."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import TRANSFORMS
from torch import nn

from mmest.backbones.image_channels import READ, channels_of
from mmest.config_parts import parts_of
from mmest.pictures.transforms import loads_otherwise

_SIDE = 64


def shown_by_steps(pipeline: Sequence[dict], size: tuple[int, int]) -> Iterator[tuple[dict, np.ndarray]]:
    """Each step of a test pipeline that works on pixels, and what it makes of a blank tile of a height and width."""
    shown = dict(img=np.zeros((*size, READ), np.uint8), img_shape=size, ori_shape=size)
    for step in pipeline:
        if 'Load' not in str(step['type']) and 'Pack' not in str(step['type']):
            shown = TRANSFORMS.build(step)(shown)
            yield step, shown['img']


def refuse_other_channels(network: nn.Module, checkpoint: Path) -> None:
    """A model of other channels than its test pipeline makes of RGB.

    Args:
        network: the model, with its config.
        checkpoint: its file, for the message.

    Raises:
        ValueError: it is one.
    """
    channels = channels_of(network)
    if channels == READ:
        return
    made = READ
    for _, shown in shown_by_steps(network.cfg.test_pipeline, (_SIDE, _SIDE)):
        made = shown.shape[2] if shown.ndim > 2 else 1
    if channels != made:
        raise ValueError(
            f'{checkpoint} takes images of {channels} channel{"s" * (channels > 1)}, but prediction reads RGB, '
            'whatever bands a file has. `mmest test CONFIG CHECKPOINT --show-dir DIR` draws what it predicts with the '
            f'loader of its config; for maps and graphs train with {READ} channels (in_channels).'
        )


def say_other_loader(cfg: Config) -> None:
    """Warn where training loads images by something that may give other pixels than prediction reads."""
    for _, part in parts_of(cfg.get('train_dataloader') or cfg.get('train_pipeline')):
        if name := loads_otherwise(part):
            print_log(
                f'The training loads images by {name}, and prediction reads RGB of 8 bits: where that gives other '
                'bands, another order or other values, what is predicted is wrong. `mmest test` takes the loader of '
                'the config.',
                'current',
                logging.WARNING,
            )
            return
