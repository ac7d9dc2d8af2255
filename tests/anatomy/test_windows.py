"""Blocks that cut windows themselves, as timm's and transformers' Swin do: tuned as if attention cut them."""

import pytest
import torch
from small_attention import Attention, C
from torch import Tensor, nn
from toy import METHODS

import mmest
from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.branches import find_branches

WINDOW = 4


def cut(x: Tensor) -> Tensor:
    """B×H×W×C, shifted, to windows×16×C; every side is padded by as much as a window lacks."""
    x = nn.functional.pad(x, (0, 0, 0, -x.shape[2] % WINDOW, 0, -x.shape[1] % WINDOW)).roll((-1, -2), (1, 2))
    x = x.unflatten(1, (-1, WINDOW)).unflatten(3, (-1, WINDOW)).transpose(2, 3)
    return x.reshape(-1, WINDOW * WINDOW, C)


def put_together(windows: Tensor, like: Tensor) -> Tensor:
    rows, columns = (-(-side // WINDOW) for side in like.shape[1:3])
    x = windows.unflatten(1, (WINDOW, WINDOW)).unflatten(0, (-1, rows, columns)).transpose(2, 3)
    x = x.reshape(-1, rows * WINDOW, columns * WINDOW, C).roll((1, 2), (1, 2))
    return x[:, : like.shape[1], : like.shape[2]]


class CuttingAttention(Attention):
    def forward(self, x):
        return put_together(super().forward(cut(x)), x)


class Block(nn.Module):
    def __init__(self, cuts: bool, drop_path: bool):
        super().__init__()
        self.cuts = cuts
        self.norm1, self.attn = nn.LayerNorm(C), Attention() if cuts else CuttingAttention()
        self.drop_path1 = nn.Identity() if drop_path else None
        self.norm2, self.mlp = nn.LayerNorm(C), nn.Sequential(nn.Linear(C, 32), nn.GELU(), nn.Linear(32, C))

    def forward(self, x):
        y = self.norm1(x)
        y = put_together(self.attn(cut(y)), y) if self.cuts else self.attn(y)
        x = x + (self.drop_path1(y) if self.drop_path1 else y)
        return x + self.mlp(self.norm2(x))


class NormBehind(Block):
    """Of Swin V2."""

    def forward(self, x):
        y = put_together(self.attn(cut(x)), x) if self.cuts else self.attn(x)
        x = x + self.norm1(y)
        return x + self.norm2(self.mlp(x))


class ScaledWindows(Block):
    """Cuts its windows out of what no module gives."""

    def __init__(self, cuts: bool, drop_path: bool):
        super().__init__(cuts, drop_path)
        self.scale = nn.Parameter(torch.rand(C))

    def forward(self, x):
        x = x + self.norm1(put_together(self.attn(cut(x * self.scale)), x))
        return x + self.norm2(self.mlp(x))


class Backbone(nn.Module):
    def __init__(self, cuts: bool, drop_path: bool = True, block: type = Block):
        super().__init__()
        self.stem = nn.Conv2d(3, C, 4, 4)
        self.blocks = nn.ModuleList(block(cuts, drop_path) for _ in range(2))

    def forward(self, image):
        x = self.stem(image).permute(0, 2, 3, 1)
        for block in self.blocks:
            x = block(x)
        return [x.permute(0, 3, 1, 2)]


def tuned(method: str, cuts: bool, **changes) -> nn.Module:
    torch.manual_seed(0)
    knobs = dict(METHODS[method])
    model = mmest.tune(Backbone(cuts, **changes), knobs.pop('type'), **knobs)
    generator = torch.Generator().manual_seed(1)
    for p in model.parameters():
        if p.requires_grad:
            p.data += torch.randn(p.shape, generator=generator) / 10
    return model.eval()


@pytest.mark.parametrize('block', [Block, NormBehind])
@pytest.mark.parametrize('method', METHODS)
def test_a_method_gives_what_it_gives_where_attention_cuts_the_windows(method, block):
    cutting, whole = tuned(method, cuts=True, block=block), tuned(method, cuts=False, block=block)
    image = torch.rand(2, 3, 40, 56)  # ten by fourteen: padded
    assert torch.allclose(cutting(image)[0], whole(image)[0], atol=1e-5)


def test_the_map_in_front_of_windows_and_behind_them_is_found():
    backbone = Backbone(True)
    attention, mlp = find_branches(backbone, find_anatomy(backbone))[:2]
    assert (attention.norm, attention.end) == ('blocks.0.norm1', 'blocks.0.drop_path1')
    assert (attention.in_windows, attention.keeps_shape) == (False, True)
    assert (mlp.norm, mlp.end, mlp.in_windows) == ('blocks.0.norm2', 'blocks.0.mlp', False)


@pytest.mark.parametrize('cuts', [True, False])
@pytest.mark.parametrize('method', ['mona', 'convpass'])
def test_places_where_the_norm_is_behind(method, cuts):
    """On the sums x + LN(attention(x)) and x + LN(MLP(x)), or from the same input as attention and MLP."""
    model = tuned(method, cuts=cuts, block=NormBehind)
    first, second = model.method.inserted[:2]
    block, seen = model.backbone.blocks[0], []
    block.register_forward_hook(lambda module, args, output: seen.append((args[0], output)))
    with torch.no_grad():
        model(torch.rand(2, 3, 40, 56))
        model.method.release(model.backbone)
        x, found = seen[0]
        y = x + block.norm1(put_together(block.attn(cut(x)), x) if cuts else block.attn(x))
        y = y + first(y if method == 'mona' else x)
        z = y + block.norm2(block.mlp(y))
        wanted = z + second(z if method == 'mona' else y)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize('method', ['mona', 'convpass'])
def test_windows_cut_out_of_a_map_that_no_module_sees(method):
    with pytest.raises(ValueError, match=r'(Mona|Convpass) looks at maps, but "blocks.0.attn" works on windows'):
        tuned(method, cuts=True, block=ScaledWindows)


@pytest.mark.parametrize('method', ['mona', 'convpass', 'e3va'])
def test_methods_that_look_at_maps_say_where_no_module_sees_one(method):
    with pytest.raises(ValueError, match=r'looks at maps, but "blocks.0.attn" works on windows'):
        tuned(method, cuts=True, drop_path=False)


@pytest.mark.parametrize('method', ['adapter', 'lora', 'lorand'])
def test_methods_that_act_on_positions_act_inside_of_windows(method):
    cutting, whole = (tuned(method, cuts, drop_path=False) for cuts in (True, False))
    image = torch.rand(2, 3, 40, 56)
    assert torch.allclose(cutting(image)[0], whole(image)[0], atol=1e-5)
