"""Blocks whose MLP is no module by itself but several in a row, as Swin V2 of transformers and torch's own layers have
it: tuned as if it were one.
"""

import pytest
import torch
from small_attention import Attention, C
from torch import nn
from toy import METHODS

import mmest
from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.branches import find_branches


class Whole(nn.Module):
    """x + attention(LN(x)), then x + MLP(LN(x))."""

    def __init__(self):
        super().__init__()
        self.norm1, self.attn, self.norm2 = nn.LayerNorm(C), Attention(), nn.LayerNorm(C)
        self.add_mlp()

    def add_mlp(self):
        self.mlp = nn.Sequential(nn.Linear(C, 32), nn.ReLU(), nn.Linear(32, C))

    def run_mlp(self, x):
        return self.mlp(x)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.run_mlp(self.norm2(x))


class Halves(Whole):
    """Of transformers."""

    def add_mlp(self):
        self.intermediate = nn.Sequential(nn.Linear(C, 32), nn.ReLU())
        self.output = nn.Sequential(nn.Linear(32, C), nn.Dropout(0))

    def run_mlp(self, x):
        return self.output(self.intermediate(x))


class Loose(Whole):
    """Of nn.TransformerEncoderLayer, with a function in between."""

    def add_mlp(self):
        self.linear1, self.dropout, self.linear2 = nn.Linear(C, 32), nn.Dropout(0), nn.Linear(32, C)

    def run_mlp(self, x):
        return self.linear2(self.dropout(torch.relu(self.linear1(x))))


class Gated(Whole):
    """Whose first half has two layers of its own."""

    def add_mlp(self):
        self.first, self.last = Gate(), nn.Linear(32, C)

    def run_mlp(self, x):
        return self.last(self.first(x))


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.value, self.gate = nn.Linear(C, 32), nn.Linear(C, 32)

    def forward(self, x):
        return self.value(x) * self.gate(x).sigmoid()


class Backbone(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.stem = nn.Conv2d(3, C, 8, 8)
        self.blocks = nn.ModuleList(block() for _ in range(2))

    def forward(self, image):
        x = self.stem(image)
        size, x = x.shape[2:], x.flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return [x.transpose(1, 2).unflatten(2, size)]


@pytest.mark.parametrize(
    'block, name, end, weights',
    [
        (Whole, 'mlp', 'mlp', 'mlp.0 mlp.2>'),
        (Halves, 'intermediate', 'output', 'intermediate.0 output.0>'),
        (Loose, 'linear1', 'linear2', 'linear1 linear2>'),
        (Gated, 'first', 'last', 'first.value first.gate last>'),
    ],
)
def test_it_is_found(block, name, end, weights):
    backbone = Backbone(block)
    attention, mlp = find_branches(backbone, find_anatomy(backbone))[2:]
    assert (attention.kind, attention.name, attention.end) == ('attention', 'blocks.1.attn', 'blocks.1.attn')
    assert (mlp.kind, mlp.name, mlp.end) == ('mlp', f'blocks.1.{name}', f'blocks.1.{end}')
    assert (mlp.norm, mlp.keeps_shape, mlp.in_windows) == ('blocks.1.norm2', True, False)
    found = [w.name.removeprefix('blocks.1.').removesuffix('.weight') + '>' * w.is_output for w in mlp.weights]
    assert ' '.join(found) == weights


@pytest.mark.parametrize('method', METHODS)
def test_a_method_gives_what_it_gives_for_one_module(method):
    def tuned(kind):
        torch.manual_seed(0)
        backbone, knobs = Backbone(kind), dict(METHODS[method])
        model = mmest.tune(backbone, knobs.pop('type'), **knobs)
        generator = torch.Generator().manual_seed(1)
        for p in model.parameters():
            if p.requires_grad:
                p.data += torch.randn(p.shape, generator=generator) / 10
        return model.eval()

    image = torch.rand(2, 3, 40, 56)
    assert torch.allclose(tuned(Halves)(image)[0], tuned(Whole)(image)[0], atol=1e-5)
