"""Mistakes in a method of somebody's own that no test of mmest sees: they end in a sentence."""

import pytest
import torch
from torch import nn
from toy import build, image

from mmest.registry import TUNINGS
from mmest.tuning import TuningMethod


@pytest.fixture
def tuned():
    """A toy backbone tuned by a class, which is registered for the time of a test."""

    def by(kind, name='swin'):
        TUNINGS.register_module(module=kind, name='Mine', force=True)
        return build(name, dict(type='Mine'))

    yield by
    TUNINGS.module_dict.pop('Mine', None)


class Mine(TuningMethod):
    def __init__(self, backbone, lr_mult: float = 1.0):
        super().__init__(backbone, lr_mult)
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, features, taps, x):
        return [f * self.factor for f in features]


class Coarse(Mine):
    def forward(self, features, taps, x):
        return [f[..., ::2, ::2] for f in features]


class Wide(Mine):
    def forward(self, features, taps, x):
        return [torch.cat([f, f], 1) for f in features]


class Last(Mine):
    def forward(self, features, taps, x):
        return features[-1:]


class OneMap(Mine):
    def forward(self, features, taps, x):
        return features[-1]


@pytest.mark.parametrize('kind', [Coarse, Wide, Last, OneMap])
def test_maps_of_other_shapes(tuned, kind):
    with pytest.raises(
        ValueError, match=rf"^{kind.__name__} should give maps of the backbone's shapes, \[\(2, 16, 16, 16"
    ):
        tuned(kind).train()(image())


def test_maps_of_the_same_shapes_pass(tuned):
    for name in ('swin', 'resnet'):
        tuned(Mine, name).train()(image(75, 101))


class Replacing(Mine):
    def __init__(self, backbone, lr_mult: float = 1.0):
        super().__init__(backbone, lr_mult)
        for module in list(backbone.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, nn.Linear):
                    setattr(module, name, nn.Sequential(child, nn.Identity()))


class Adding(Mine):
    def __init__(self, backbone, lr_mult: float = 1.0):
        super().__init__(backbone, lr_mult)
        backbone.extra = nn.Linear(2, 2)


@pytest.mark.parametrize('kind, name', [(Replacing, r'\.0\.|\.bias|\.weight'), (Adding, 'extra.bias')])
def test_modules_put_into_the_backbone(tuned, kind, name):
    with pytest.raises(ValueError, match=rf'{kind.__name__} has renamed, .* tensors of \w+, such as "\S*({name})\S*"'):
        tuned(kind)
