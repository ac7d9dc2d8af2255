"""A delta is whole where a pretrained file lacks buffers of the backbone."""

import pytest
import torch
from mmengine.registry import MODELS
from small_backbones import SmallConvNeXt

import mmest

CONSTANT = dict(counter=torch.zeros((), dtype=torch.long), scale=torch.full((3,), 2.0))


@MODELS.register_module(force=True)
class FourierConvNeXt(SmallConvNeXt):
    """With frequencies and an order of pixels that are drawn once (Tancik et al., 2020), a table of positions, and
    constants.
    """

    def __init__(self, init_cfg: dict | None = None) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.register_buffer('frequencies', torch.randn(3, 2))
        self.register_buffer('turns', torch.randn(3, dtype=torch.complex64))
        self.register_buffer('order', torch.randperm(64))
        self.register_buffer('mask', torch.rand(64) < 0.5)
        self.register_buffer('phase', torch.rand(1))
        self.register_buffer('index', torch.arange(6).view(2, 3))
        self.register_buffer('nothing', torch.empty(0, 2))
        for name, value in CONSTANT.items():
            self.register_buffer(name, value.clone())

    def forward(self, x):
        x = x + torch.einsum('bchw,cf->bfhw', x, self.frequencies @ self.frequencies.T + self.phase).sin()
        return super().forward(x.flatten(2)[..., self.order].view_as(x) if x.shape[-1] == 8 else x)


def build(file) -> mmest.TunedBackbone:
    init_cfg = dict(type='Pretrained', checkpoint=str(file))
    tuned = mmest.TunedBackbone(dict(type='FourierConvNeXt', init_cfg=init_cfg), dict(type='EST'))
    tuned.init_weights()
    return tuned


DRAWN = {'frequencies', 'turns', 'order', 'mask', 'phase'}


@pytest.mark.parametrize('kept', [(), ('frequencies',), ('order', 'mask'), (*DRAWN, 'index', *CONSTANT)])
def test_what_was_drawn_is_in_the_delta(tmp_path, kept):
    torch.manual_seed(0)
    state = FourierConvNeXt().state_dict()
    extra = {*DRAWN, 'index', 'nothing', *CONSTANT} - set(kept)
    torch.save({name: value for name, value in state.items() if name not in extra}, tmp_path / 'file.pth')
    tuned = build(tmp_path / 'file.pth')
    mmest.save_delta(tuned, tmp_path / 'delta.pth')
    held = torch.load(tmp_path / 'delta.pth')['state_dict']
    stored = {name.removeprefix('backbone.') for name in held if name.startswith('backbone.')}
    # A table of positions may be a drawn order too.
    assert stored == {*DRAWN, 'index'} - set(kept), 'constants are left out'
    again = build(tmp_path / 'file.pth')
    assert bool(stored) != torch.equal(again.backbone.turns, tuned.backbone.turns)
    mmest.load_delta(again, tmp_path / 'delta.pth')
    for name, value in tuned.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
