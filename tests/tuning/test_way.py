"""In which order a side network's state passes the blocks of a backbone with parallel branches."""

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn
from toy import HRNET

from mmest.anatomy.blocks import Anatomy, Block, Output, find_anatomy
from mmest.tuning.side.way import Way, choose_taps, way_of


def test_branches_are_passed_from_fine_to_coarse():
    anatomy = find_anatomy(MODELS.build(HRNET))
    way = way_of(anatomy)
    passed = [(block.name, block.channels) for block in way.blocks.values()]
    branches = [
        [f'stage{s}.{m}.branches.{branch}.0' for s, m in ((2, 0), (3, 0), (3, 1), (4, 0)) if branch <= s - 1]
        for branch in range(4)
    ]
    assert passed == [
        ('layer1.0', 32),
        *((name, width) for names, width in zip(branches, (8, 16, 24, 40)) for name in names),
    ]
    assert [block.stage for block in way.blocks.values()] == [0, *[1] * 4, *[2] * 4, *[3] * 3, 4]
    # Each output hears the state of its own resolution, though all branches of the last stage feed it.
    assert [way.blocks[i].name for i in way.feeding] == [f'stage4.0.branches.{branch}.0' for branch in range(4)]
    assert all(way.blocks[i].size == output.size for i, output in zip(way.feeding, anatomy.outputs))
    assert [way.blocks[i].name for i in choose_taps(way, 'stage')] == ['layer1.0', *(names[-1] for names in branches)]
    counted = [way.blocks[i].name for i in choose_taps(way, 2)]
    assert counted == ['layer1.0', *branches[0][1::2], *branches[1][1::2], *branches[2][::2], *branches[3]]


def anatomy_of(*sizes: int, outputs: dict[int, tuple[int, ...]]) -> Anatomy:
    """Blocks of square maps of those sides, and outputs by their side, from those blocks."""
    blocks = tuple(Block(str(i), i, 4, 4, (s, s), (64 // s, 64 // s), 0, True) for i, s in enumerate(sizes))
    return Anatomy(blocks, tuple(Output(4, f, (s, s)) for s, f in outputs.items()), (), (), (64, 64), 3)


@pytest.mark.parametrize(
    'sizes, outputs, order, feeding',
    [
        # As they run, where the resolution never rises; an output pooled from its block; one from in front of all.
        ((16, 16, 8, 4), {16: (1,), 2: (3,)}, [0, 1, 2, 3], (1, 3)),
        ((16, 8, 4), {32: (), 8: (1,)}, [0, 1], (None, 1)),
        # Not by the last block, but by the one of its own resolution.
        ((16, 8, 16, 8), {16: (2, 3), 8: (2, 3)}, [0, 2, 1, 3], (2, 3)),
        # None of its own resolution: the coarsest that feeds it.
        ((16, 8, 16, 8), {16: (2, 3), 4: (2, 3)}, [0, 2, 1, 3], (2, 3)),
        # Blocks behind the last output are none.
        ((16, 8, 16, 8, 16), {16: (2,), 8: (3,)}, [0, 2, 1, 3], (2, 3)),
        # What is coarser than all outputs corrects none.
        ((16, 8, 16), {16: (2,)}, [0, 2], (2,)),
    ],
)
def test_order_and_outputs(sizes, outputs, order, feeding):
    way = way_of(anatomy_of(*sizes, outputs=outputs))
    assert isinstance(way, Way)
    assert (list(way.blocks), way.feeding) == (order, feeding)


@pytest.mark.parametrize('method', ['EST', 'SteeredEST', 'LST', 'DTL'])
def test_networks_beside_parallel_branches_train(method):
    torch.manual_seed(0)
    model = MODELS.build(dict(type='TunedBackbone', backbone=HRNET, tuning=dict(type=method)))
    x = torch.rand(2, 3, 64, 96)
    model.eval()
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(model(x), model.backbone(x)))
    model.train()
    sum((f * torch.rand_like(f)).sum() for f in model(x)).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_an_output_hears_the_branches_that_are_as_fine_or_finer():
    """The state runs from fine to coarse: what trains beside the coarsest branch moves the coarsest output alone."""
    torch.manual_seed(0)
    model = MODELS.build(dict(type='TunedBackbone', backbone=HRNET, tuning=dict(type='EST'))).eval()
    for layer in model.method.expand:
        nn.init.normal_(layer.weight)
    x, heard = torch.rand(1, 3, 64, 64), []
    with torch.no_grad():
        before = model(x)
        for block in model.method.blocks:
            bias = block.reduce.bias.clone()
            block.reduce.bias += 1
            heard.append([not torch.equal(a, b) for a, b in zip(before, model(x))])
            block.reduce.bias.copy_(bias)
    stages = [block.stage for block in model.method.tapped]
    assert heard == [[output >= max(stage - 1, 0) for output in range(4)] for stage in stages]
