"""What is asked of a method on a backbone: every promise that is broken is seen."""

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from mmest import TUNINGS, TuningMethod
from mmest.benchmark.families.members import MEMBERS
from mmest.benchmark.families.promises import plain_maps, verdict


class Scales(TuningMethod):
    """Trains one factor of all maps."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__(backbone)
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, features, taps, image):
        return [self.factor * f for f in features]


class StartsElsewhere(Scales):
    def forward(self, features, taps, image):
        return [1.01 * self.factor * f for f in features]


class OtherShapes(Scales):
    def forward(self, features, taps, image):
        return [self.factor * f[..., 1:] for f in features]


class ConfusesSides(Scales):
    """Right on images that are wider than high alone."""

    def forward(self, features, taps, image):
        return [self.factor * (f if f.shape[3] > f.shape[2] else f.flip(2)) for f in features]


class LeavesOneIdle(Scales):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__(backbone)
        self.idle = nn.Parameter(torch.ones(()))


class Endless(Scales):
    def forward(self, features, taps, image):
        return [f + (self.factor - 1).abs().sqrt() for f in features]


class TouchesTheFrozen(Scales):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__(backbone)
        self.touched = [next(backbone.parameters())]

    def forward(self, features, taps, image):
        if self.training:
            self.touched[0].data.add_(1)
        return super().forward(features, taps, image)


class MovesNothing(Scales):
    def forward(self, features, taps, image):
        return [f + 0 * self.factor for f in features]


class Forgets(Scales):
    """Keeps what it learns outside of its parameters."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__(backbone)
        self.steps = 0

    def forward(self, features, taps, image):
        self.steps += self.training
        return [self.factor * f + self.steps for f in features]


class Diverges(Scales):
    """Its maps are finite until the factor has moved."""

    def forward(self, features, taps, image):
        return [self.factor * f / (1 - self.steps_taken()) for f in features]

    def steps_taken(self) -> int:
        return int(not self.training and self.factor.item() != 1)


class Crashes(Scales):
    def forward(self, features, taps, image):
        raise IndexError('no such map\nand more')


class CrashesWhenBuilt(Scales):
    def __init__(self, backbone: nn.Module) -> None:
        raise IndexError('no such block')


class Refuses(Scales):
    def __init__(self, backbone: nn.Module) -> None:
        raise ValueError('Refuses takes no backbone.')


FAULTS = {
    Scales: None,
    StartsElsewhere: 'at the start, output 0 for images of 64×96 is not that of the plain backbone',
    OtherShapes: 'for images of 64×96 it gives maps of other shapes than the plain backbone',
    ConfusesSides: 'at the start, output 0 for images of 96×64 is not that of the plain backbone',
    LeavesOneIdle: '1 trained parameters get no gradient, first method.idle',
    Endless: '1 gradients are not finite, first method.factor',
    TouchesTheFrozen: '1 frozen tensors change, first downsample_layers.0.0.weight',
    MovesNothing: 'two steps of training move no map',
    Diverges: 'two steps of training leave a map that is not finite',
    Forgets: 'its delta, loaded into another copy, gives other maps',
    Crashes: 'IndexError: no such map',
    CrashesWhenBuilt: 'IndexError: no such block',
}


@pytest.mark.parametrize('method', FAULTS, ids=lambda method: method.__name__)
def test_every_fault_is_seen(method, monkeypatch):
    import small_backbones  # noqa: F401 -- registers it

    monkeypatch.setitem(TUNINGS._module_dict, method.__name__, method)
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type='SmallConvNeXt'))
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    said = FAULTS[method]
    found = verdict(backbone, dict(type=method.__name__), plain_maps(backbone, (64, 96)))
    assert found == (('fails', said) if said else ('works', None))
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_a_sentence_in_place_of_a_method_is_no_fault(monkeypatch):
    monkeypatch.setitem(TUNINGS._module_dict, 'Refuses', Refuses)
    assert verdict(nn.Conv2d(3, 2, 1), dict(type='Refuses'), {}) == ('refused', 'Refuses takes no backbone.')


def test_members_are_the_same_every_time_and_start_at_no_special_value():
    member = next(m for m in MEMBERS if m.library == 'mmdet' and m.family == 'Swin')
    a, _, b = member.build(), torch.rand(1), member.build()
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert all(p.std() > 0.01 for p in a.parameters() if p.numel() > 1)
    assert len({(m.library, m.family) for m in MEMBERS}) == len(MEMBERS)
