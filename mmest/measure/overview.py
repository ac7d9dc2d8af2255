"""What each method does to one backbone."""

import copy
from typing import NamedTuple

import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from torch import nn

from mmest.anatomy.blocks import find_anatomy
from mmest.backbones.tuned_backbone import TunedBackbone


class Overview(NamedTuple):
    """One method on one backbone.

    Attributes:
        family: ``selective`` (trains what is there), ``inserted`` (adds modules to the blocks), ``beside``.
        acts_on: where, in a few words.
        trained: number of values that train in and beside the backbone.
        total: number of values of the backbone.
        graph: how many of its blocks, counted back from the last, the gradient has to cross.
        blocks: number of its blocks.
        merges: whether what was trained can be folded into the backbone's own weights.
        source: where the method is defined.
    """

    family: str
    acts_on: str
    trained: int
    total: int
    graph: int
    blocks: int
    merges: bool
    source: str


def blocks_with_graph(tuned: TunedBackbone) -> dict[str, bool]:
    """By the name of each block: whether its output needs a gradient in a training step."""
    anatomy = find_anatomy(tuned.backbone)
    seen: dict[str, bool] = {}
    handles = [
        tuned.backbone.get_submodule(block.name).register_forward_hook(
            lambda module, args, output, name=block.name: seen.update(
                {
                    name: any(
                        t.requires_grad
                        for t in (output if isinstance(output, (tuple, list)) else [output])
                        if torch.is_tensor(t)
                    )
                }
            )
        )
        for block in anatomy.blocks
    ]
    stem = next(m for m in tuned.backbone.modules() if isinstance(m, nn.Conv2d))
    training = tuned.training
    tuned.train()
    try:
        tuned(torch.zeros(2, stem.in_channels, *anatomy.image))
    finally:
        tuned.train(training)
        for handle in handles:
            handle.remove()
    return seen


def overview(backbone: dict, tuning: dict) -> Overview:
    """Build a backbone under a method, from random weights, and tell what the method does to it.

    Args:
        backbone: config of the backbone; no weights are loaded.
        tuning: config of the method.

    Raises:
        ValueError: the method does not suit the backbone.
    """
    inner = ConfigDict(copy.deepcopy(dict(backbone)), init_cfg=None)
    tuned = MODELS.build(ConfigDict(type='TunedBackbone', backbone=inner, tuning=tuning))
    method = tuned.method
    own = any(True for _ in method.parameters())
    crossed = blocks_with_graph(tuned)
    return Overview(
        'beside' if method.beside else 'inserted' if own else 'selective',
        method.acts_on,
        sum(p.numel() for p in tuned.parameters() if p.requires_grad),
        sum(p.numel() for p in tuned.backbone.parameters()),
        sum(crossed.values()),
        len(crossed),
        method.can_merge,
        method.source,
    )
