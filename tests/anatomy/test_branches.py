"""Branches and weights in the blocks of backbones of many kinds."""

import pytest
from mmengine.registry import MODELS
from test_blocks import KNOWN

from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.branches import find_branches

# (kind, norm, end, weights with > for the output projection and ~ for those of layers that are never called), by branch
# of the first block that keeps its shape
SWIN = [
    ('attention', 'norm1', 'attn', 'attn.w_msa.qkv attn.w_msa.proj>'),
    ('mlp', 'norm2', 'ffn.dropout_layer', 'ffn.layers.0.0 ffn.layers.1>'),
]
VIT = [
    ('attention', 'ln1', 'attn.dropout_layer', 'attn.attn.in_proj_weight~ attn.attn.out_proj~>'),
    ('mlp', 'ln2', 'ffn.dropout_layer', 'ffn.layers.0.0 ffn.layers.1>'),
]
BEIT = [('attention', 'ln1', 'attn', 'attn.qkv~ attn.proj>'), ('mlp', 'ln2', 'ffn', 'ffn.layers.0.0 ffn.layers.1>')]
MIT = [
    ('attention', 'norm1', 'attn.dropout_layer', 'attn.attn.in_proj_weight~ attn.attn.out_proj~> attn.sr'),
    ('mlp', 'norm2', 'ffn.dropout_layer', 'ffn.layers.0 ffn.layers.1 ffn.layers.4>'),
]
PVT = [MIT[0], ('mlp', 'norm2', 'ffn.dropout_layer', 'ffn.layers.0 ffn.layers.3>')]
FOUND = {
    'swin': SWIN,
    'vit': VIT,
    'beit, square only': BEIT,
    'mit': MIT,
    'pvt v2': MIT,
    'pvt': PVT,
    'resnet': [('conv', None, 'bn3', 'conv1 conv2 conv3>')],
    'resnet 18': [('conv', None, 'bn2', 'conv1 conv2>')],
    'regnet': [('conv', None, 'bn3', 'conv1 conv2 conv3>')],
}


@pytest.mark.parametrize('name', FOUND)
def test_known_backbones(name):
    backbone = MODELS.build(KNOWN[name][0])
    anatomy = find_anatomy(backbone)
    branches = find_branches(backbone, anatomy)
    first = next(branch.block for branch in branches if branch.keeps_shape)
    prefix = f'{anatomy.blocks[first].name}.'

    def words(branch):
        return ' '.join(
            weight.name.removeprefix(prefix).removesuffix('.weight')
            + '~' * (not weight.called)
            + '>' * weight.is_output
            for weight in branch.weights
        )

    found = [
        (b.kind, b.norm and b.norm.removeprefix(prefix), b.end.removeprefix(prefix), words(b))
        for b in branches
        if b.block == first
    ]
    assert found == FOUND[name]
    assert len(branches) == len(anatomy.blocks) * len(FOUND[name])
    assert all(branch.channels == anatomy.blocks[branch.block].channels for branch in branches)


def test_shortcuts_with_a_projection_do_not_keep_the_shape():
    backbone = MODELS.build(KNOWN['resnet'][0])
    branches = find_branches(backbone, find_anatomy(backbone))
    assert [b.block for b in branches if not b.keeps_shape] == [0, 3, 7, 13]
    assert all(b.end.endswith('bn3') and b.channels_first for b in branches)
