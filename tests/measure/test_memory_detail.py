"""The live peak module by module, and over the step."""

from itertools import groupby

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from PIL import Image
from torch import nn

from mmest.measure.memory import measure_training_step
from mmest.measure.memory.allocator import within_bound
from mmest.measure.memory.modules import OUTSIDE, to_depth
from mmest.measure.memory.picture import draw_timeline
from mmest.measure.memory.report import modules_table
from mmest.measure.memory.timeline import Timeline

FLOAT, ROWS, WIDTH = 4, 64, 32
ROW, MATRIX = ROWS * WIDTH * FLOAT, WIDTH * WIDTH * FLOAT


class Chain(BaseModel):
    """x -> Linear -> ReLU -> Linear -> sum."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(WIDTH, WIDTH, bias=False), nn.ReLU())
        self.head = nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, inputs, mode='loss'):
        return dict(loss=self.head(self.backbone(inputs)).sum())


@pytest.fixture
def measured():
    model, timeline = Chain(), Timeline()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, foreach=False)
    inputs = torch.linspace(-1, 1, ROWS * WIDTH).view(ROWS, WIDTH)
    return measure_training_step(model, dict(inputs=inputs), OptimWrapper(optimizer), timeline), timeline


def test_modules_add_up_and_own_what_they_should(measured):
    """By hand: at the peak, in ReLU's backward, the second matrix has its gradient and ReLU's output is kept."""
    report, _ = measured
    assert sum(sum(row.values()) for row in report.modules.values()) == report.peak
    for category, nbytes in report.attribution.items():
        assert sum(row.get(category, 0) for row in report.modules.values()) == nbytes
    states = 2 * MATRIX + FLOAT
    assert report.modules['backbone.0'] == dict(weights_trainable=MATRIX, optimizer=states)
    assert report.modules['head']['gradients'] == MATRIX and report.modules['head']['optimizer'] == states
    assert report.modules['backbone.1']['saved_backbone'] == ROW
    assert report.modules[OUTSIDE]['inputs'] == ROW


def test_joined_modules_hold_the_same(measured):
    modules = measured[0].modules
    joined = to_depth(modules, 1)
    assert set(joined) <= {'backbone', 'head', OUTSIDE}
    assert joined['backbone']['optimizer'] == 2 * MATRIX + FLOAT
    totals = [sum(row.values()) for row in joined.values()]
    assert totals == sorted(totals, reverse=True) and sum(totals) == measured[0].peak
    assert to_depth(modules, 9) == {name: modules[name] for name in to_depth(modules, 9)}
    assert modules_table('full', joined).row_count == len(joined) + 1


def test_what_joined_modules_hold_is_added_up():
    modules = {'a.0': dict(inputs=1), 'a.1.b': dict(inputs=2, gradients=4), 'c': dict(inputs=9)}
    assert list(to_depth(modules, 1).items()) == [('c', dict(inputs=9)), ('a', dict(inputs=3, gradients=4))]


def test_the_timeline_reaches_the_peak_in_three_phases(measured, tmp_path):
    report, timeline = measured
    assert [phase for phase, _ in groupby(timeline.moments, key=lambda m: m.phase)] == [
        'forward',
        'backward',
        'optimizer',
    ]
    fullest = max(timeline.moments, key=lambda m: m.total)
    assert (fullest.total, fullest.phase, fullest.operator) == (report.peak, report.phase, report.operator)
    assert dict(zip(report.attribution, fullest.nbytes)) == report.attribution
    draw_timeline(tmp_path / 'new' / 'picture.png', timeline, 'a title')
    assert min(Image.open(tmp_path / 'new' / 'picture.png').size) > 400


def test_the_bound_of_the_allocator():
    assert within_bound(10**9, 10**9) and within_bound(10**9, 10**9 + 10**8) and not within_bound(10**9, 10**9 - 1)
    assert not within_bound(10**9, 12 * 10**8)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('width', [512, 4096])
def test_the_allocator_agrees_with_the_count(width):
    class Wide(Chain):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Sequential(*(nn.Linear(width, width) for _ in range(8)), nn.GELU())
            self.head = nn.Linear(width, width)

    model = Wide().cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, foreach=False)
    report = measure_training_step(model, dict(inputs=torch.rand(2048, width).cuda()), OptimWrapper(optimizer))
    assert within_bound(report.peak, report.allocator['max_allocated'])
