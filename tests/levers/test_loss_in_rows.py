"""mmseg's loss in chunks of rows: the same losses and gradients, and no logits of the labels' size."""

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmest.datasets.class_weights import count_ignored_pixels
from mmest.levers import loss_in_rows, put_on
from mmest.levers.loss_in_rows import interpolated_rows
from mmest.measure.memory import LiveTensorCounter

CE = dict(type='CrossEntropyLoss', loss_weight=0.7)
LOSSES = dict(
    plain=CE,
    non_ignored=dict(CE, avg_non_ignore=True),
    weighted=dict(CE, class_weight=[0.5, 1.0, 2.0, 1.5]),
    weighted_non_ignored=dict(CE, class_weight=[0.5, 1.0, 2.0, 1.5], avg_non_ignore=True),
    summed=dict(CE, reduction='sum'),
    several=[dict(CE, loss_name='loss_a'), dict(CE, loss_name='loss_b', class_weight=[1.0, 2.0, 3.0, 4.0])],
    same_name=[CE, dict(CE, loss_weight=0.3)],
)


def head(loss=CE, kind='FCNHead', **more):
    init_default_scope('mmseg')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        built = MODELS.build(
            dict(
                type=kind, in_channels=6, channels=6, num_classes=4, num_convs=0, concat_input=False, dropout_ratio=0.0,
                loss_decode=loss, **more,
            )
        )  # fmt: skip
    count_ignored_pixels(built)
    return built


def samples(size, ignored=0.3):
    random = torch.Generator().manual_seed(4)
    found = []
    for _ in range(2):
        label = torch.randint(0, 4, (1, *size), generator=random)
        label[torch.rand(1, *size, generator=random) < ignored] = 255
        found.append(SegDataSample(gt_sem_seg=PixelData(data=label)))
    return found


def losses_of(model, size, ignored=0.3):
    x = torch.randn(2, 6, 9, 7, generator=torch.Generator().manual_seed(5)).requires_grad_()
    losses = model.loss((x,), samples(size, ignored), None)
    sum(value.sum() for name, value in losses.items() if 'loss' in name).backward()
    return losses, [x.grad, *(p.grad for p in model.parameters())]


@pytest.mark.parametrize('corners', [False, True])
@pytest.mark.parametrize('size', [(36, 28), (9, 7), (41, 25), (5, 4)])
@pytest.mark.parametrize('loss', LOSSES)
def test_is_as_without(loss, size, corners, monkeypatch):
    monkeypatch.setattr(loss_in_rows, '_CHUNK', 2 * 4 * size[1] * 4 * 3)  # three rows
    monkeypatch.setattr(loss_in_rows, '_LEAST_ROWS', 1)
    plain = head(LOSSES[loss], align_corners=corners)
    light = copy.deepcopy(plain)
    assert put_on(light, ['loss_in_rows']) == []
    for ignored in (0.3, 0.0, 1.0):
        (expected, gradients), (found, own) = losses_of(plain, size, ignored), losses_of(light, size, ignored)
        assert list(expected) == list(found)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-6)
            assert found[name].shape == value.shape
        for f, e in zip(own, gradients, strict=True):
            torch.testing.assert_close(f, e, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('corners', [False, True])
@pytest.mark.parametrize('size', [(40, 33), (7, 5), (3, 2), (1, 1)])
def test_rows_are_those_of_the_whole_interpolation(size, corners):
    x = torch.randn(2, 3, 7, 5)
    whole = F.interpolate(x, size, mode='bilinear', align_corners=corners)
    for start in range(size[0]):
        rows = range(start, min(start + 4, size[0]))
        found = interpolated_rows(x, rows, size, corners)
        torch.testing.assert_close(found, whole[:, :, rows.start : rows.stop], rtol=1e-5, atol=1e-5)


def test_logits_of_the_size_of_the_labels_never_exist():
    peaks = []
    for light in (False, True):
        model, size = head(), (1200, 1200)
        if light:
            put_on(model, ['loss_in_rows'])
        with LiveTensorCounter() as counter:
            losses_of(model, size)
        peaks.append(counter.peak.total)
    labels = 2 * 1200 * 1200 * 8
    assert peaks[0] > labels * 2 + 3 * 4 * 2 * 1200 * 1200 * 4
    assert peaks[1] < labels * 4 + 4 * loss_in_rows._CHUNK


@pytest.mark.parametrize(
    'more, reason',
    [
        (dict(loss=dict(type='DiceLoss')), 'DiceLoss is no sum over pixels that is known here'),
        (dict(loss=[CE, dict(type='LovaszLoss', per_image=True)]), 'LovaszLoss is no sum over pixels'),
        (dict(loss=dict(CE, use_sigmoid=True)), 'its CrossEntropyLoss is not that of classes that exclude each other'),
        (dict(sampler=dict(type='OHEMPixelSampler')), 'OHEMPixelSampler chooses pixels by the losses of all'),
    ],
)
def test_what_it_cannot_do_stays_as_it_is_and_is_said(more, reason):
    plain = head(**more)
    light = copy.deepcopy(plain)
    said = put_on(light, ['loss_in_rows'])
    assert len(said) == 1 and said[0].startswith(f'FCNHead computes its loss from whole logits: {reason}')
    for e, f in zip(losses_of(plain, (18, 14), 0.0)[1], losses_of(light, (18, 14), 0.0)[1]):
        assert torch.equal(e, f)


@pytest.mark.parametrize('change', [dict(use_mask=True), dict(reduction='none')])
def test_cross_entropy_that_is_no_sum_over_pixels_of_one_class_is_left_to_the_head(change):
    model = head(dict(CE, **change))
    assert put_on(model, ['loss_in_rows']) == [
        'FCNHead computes its loss from whole logits: its CrossEntropyLoss is not that of classes that exclude each '
        'other, summed up.'
    ]


def test_a_head_that_makes_its_losses_in_a_way_of_its_own_does_so(monkeypatch):
    """As EncHead does, and heads of other libraries."""
    from mmseg.models.decode_heads import FCNHead

    class Doubled(FCNHead):
        def loss_by_feat(self, seg_logits, batch_data_samples):
            return {name: 2 * value for name, value in super().loss_by_feat(seg_logits, batch_data_samples).items()}

    monkeypatch.setattr(loss_in_rows, '_CHUNK', 1)
    plain, size = head(), (36, 28)
    plain.__class__ = Doubled
    light = copy.deepcopy(plain)
    assert put_on(light, ['loss_in_rows']) == ['Doubled computes its loss from whole logits: it has a way of its own.']
    (expected, _), (found, _) = losses_of(plain, size), losses_of(light, size)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
