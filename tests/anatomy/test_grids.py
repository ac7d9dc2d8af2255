"""The grid of tokens is told by what a block is handed or returns, if it is that, by the outputs, or by the image."""

import pytest
import torch
from small_attention import Attention, C
from torch import nn
from toy import METHODS

import mmest
from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.grids import find_grid, sizes_in


@pytest.mark.parametrize(
    'values, found',
    [
        (((4, 6),), [(4, 6)]),
        ((torch.ones(2), [4, 6], None), [(4, 6)]),
        (((1, 4, 6),), [(4, 6)]),
        ((torch.Size([64, 96]), (4, 6)), [(64, 96), (4, 6)]),
        ((torch.ones(2), 4, 6), [(4, 6)]),
        ((True, False, (1.0, 2.0), (1, 2, 3, 4), 4, None, 6), []),
    ],
)
def test_what_may_be_a_size(values, found):
    assert sizes_in(*values) == found


@pytest.mark.parametrize(
    'tokens, image, known, strides, found',
    [
        (96, (64, 96), [(8, 12)], (8, 8), (8, 12)),
        (96, (64, 96), [(64, 96), (16, 24), (8, 12)], (8, 8), (8, 12)),  # the image's, and that in front of pooling
        (96, (64, 96), [(12, 8)], (8, 8), (8, 12)),  # width first
        (36, (64, 144), [(6, 6)], (16, 16), (4, 9)),  # a square
        (36, (144, 64), [(6, 6)], (16, 16), (9, 4)),
        (256, (33, 47), [(16, 16)], (4, 4), (16, 16)),  # padded to 64×64
        (20, (33, 47), [], (8, 8), (4, 5)),
        (30, (33, 47), [], (8, 8), (5, 6)),
        (6, (33, 47), [(3, 2)], (16, 16), (3, 2)),  # handed, where the image would tell two
        (96, None, [(7, 7), (8, 12)], (8, 8), (8, 12)),
    ],
)
def test_the_size_that_fits(tokens, image, known, strides, found):
    assert find_grid(tokens, image, known, strides) == found


@pytest.mark.parametrize(
    'tokens, known, found',
    [
        (24, [], (4, 6)),
        (25, [(64, 96)], (4, 6)),
        (29, [(2, 3), (4, 6)], (4, 6)),
        (40, [(5, 7)], (5, 7)),  # patches of 14, padded, behind five tokens
        (6, [(2, 2)], (2, 3)),  # windows of 2
    ],
)
def test_tokens_in_front(tokens, known, found):
    assert find_grid(tokens, (64, 96), known, most_prefix=16) == found


@pytest.mark.parametrize(
    'tokens, image, known, strides, sentence',
    [
        (36, (64, 144), [(6, 6)], (14, 14), '36 tokens, which are none of 4×10, 4×11, 5×10, 5×11, 6×6, the sizes'),
        (95, (64, 96), [(8, 12)], (8, 8), 'none of 8×12, .* for an image of 64×96. Take images whose height'),
        (6, (33, 47), [], (16, 16), 'may be any of 2×3, 3×2, .* multiple of 16 and whose width is one of 16.'),
        (6, (33, 47), [(3, 2), (2, 3)], (16, 16), 'may be any of 2×3, 3×2'),
        (96, None, [(7, 7)], (8, 8), '96 tokens, which are none of 7×7.'),
    ],
)
def test_none_or_two_that_fit(tokens, image, known, strides, sentence):
    with pytest.raises(ValueError, match=sentence):
        find_grid(tokens, image, known, strides)


class Block(nn.Module):
    """Of tokens, with a class token and a register token in front; what it is handed plays no part."""

    def __init__(self):
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(C), Attention(), nn.LayerNorm(C)
        self.mlp = nn.Sequential(nn.Linear(C, 32), nn.GELU(), nn.Linear(32, C))

    def forward(self, x, *sizes, resolution=None):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PoolingBlock(Block):
    """Halves the map, and returns the size of the new one (MViT)."""

    def forward(self, x, size):
        front, x = x[:, :2], x[:, 2:].transpose(1, 2).unflatten(2, size[-2:])
        x = nn.functional.max_pool2d(x, 2)
        size = (*size[:-2], *x.shape[2:])
        return super().forward(torch.cat([front, x.flatten(2).transpose(1, 2)], 1)), size


class Backbone(nn.Module):
    """Maps at stride 8, or 16 if its blocks pool, and with ``behind`` at twice the stride alone."""

    def __init__(self, hand=None, block=Block, behind=False):
        super().__init__()
        self.hand, self.behind = hand, behind
        self.stem, self.front = nn.Conv2d(3, C, 8, 8), nn.Parameter(torch.rand(1, 2, C))
        self.blocks = nn.ModuleList(block() for _ in range(2))

    def forward(self, image):
        x = self.stem(image)
        size, x = x.shape[2:], x.flatten(2).transpose(1, 2)
        x = torch.cat([self.front.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            args, kwargs = self.hand(image.shape[2:], size) if self.hand else ((), {})
            x = block(x, *args, **kwargs)
            if isinstance(x, tuple):
                x, size = x
                size = size[-2:]
        x = x[:, 2:].transpose(1, 2).unflatten(2, size)
        return [nn.functional.avg_pool2d(x, 2) if self.behind else x]


HANDED = {
    'nothing': None,
    'the grid': lambda image, grid: ((tuple(grid),), {}),
    'the image': lambda image, grid: ((), dict(resolution=image)),  # BEiT of transformers
    'frames': lambda image, grid: (((1, *grid),), {}),  # MViT of torchvision
    'two numbers': lambda image, grid: (tuple(grid), {}),  # SegFormer of transformers
    'windows': lambda image, grid: (((2, 2),), {}),
    'a square': lambda image, grid: (((round((grid[0] * grid[1]) ** 0.5),) * 2,), {}),
}


def tuned(method, **changes):
    torch.manual_seed(0)
    knobs = dict(METHODS[method])
    model = mmest.tune(Backbone(**changes), knobs.pop('type'), **knobs)
    generator = torch.Generator().manual_seed(1)
    for p in model.method.parameters():
        p.data += torch.randn(p.shape, generator=generator) / 10
    return model.eval()


@pytest.mark.parametrize('behind', [False, True])
@pytest.mark.parametrize('hand', HANDED)
def test_blocks_and_taps(hand, behind):
    model = tuned('est', hand=HANDED[hand], behind=behind)
    for block in find_anatomy(model.backbone).blocks:
        assert (block.size, block.stride, block.prefix_tokens) == ((8, 12), (8, 8), 2)
    seen = []
    model.backbone.blocks[1].register_forward_hook(lambda module, args, output: seen.append(output))
    for height, width in ((64, 96), (32, 128), (72, 32)):  # one of 64 tokens, as a square has
        _, taps = model.read(torch.rand(2, 3, height, width))
        wanted = seen[-1][:, 2:].transpose(1, 2).reshape(2, C, height // 8, width // 8)
        assert torch.equal(taps[-1].feature, wanted)


@pytest.mark.parametrize('hand', [hand for hand in HANDED if hand != 'the grid'])
@pytest.mark.parametrize('method', ['mona', 'convpass', 'est'])
def test_a_method_gives_what_it_gives_where_the_grid_is_handed(method, hand):
    model, reference = tuned(method, hand=HANDED[hand]), tuned(method, hand=HANDED['the grid'])
    for size in ((64, 96), (32, 128), (43, 60)):
        image = torch.rand(2, 3, *size)
        assert torch.equal(model(image)[0], reference(image)[0])


@pytest.mark.parametrize('hand', ['the grid', 'frames'])
def test_blocks_that_return_another_grid_than_they_are_handed(hand):
    backbone = Backbone(hand=HANDED[hand], block=PoolingBlock, behind=True)
    model = mmest.tune(backbone, 'EST', taps='block').eval()  # at finer maps than any output
    assert [block.size for block in find_anatomy(model.backbone).blocks] == [(4, 6), (2, 3)]
    assert [tap.feature.shape for tap in model.read(torch.rand(1, 3, 96, 160))[1]] == [(1, C, 6, 10), (1, C, 3, 5)]


def test_an_image_whose_sides_tell_two_grids_is_refused():
    model = tuned('mona', hand=None)
    model.backbone.stem = nn.Conv2d(3, C, 8, 8, padding=(4, 0))  # 17×23 to 3×2, that may be 2×3 as well
    with pytest.raises(ValueError, match=r'Mona: block "blocks.0" works on 6 tokens, which may be any of 2×3, 3×2'):
        model(torch.rand(1, 3, 17, 23))
