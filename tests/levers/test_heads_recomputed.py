"""Neck and heads that run again in backward: losses, gradients and statistics as without, in less memory."""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmest.levers import put_on
from mmest.measure.memory import LiveTensorCounter, measure_training_step
from mmest.measure.ready import prepare
from mmest.measure.synthetic_batch import synthetic_batch

BN = dict(type='BN', requires_grad=True)
HEADS = dict(
    uper=dict(type='UPerHead', in_index=[0, 1, 2], pool_scales=(1, 2)),
    segformer=dict(type='SegformerHead', in_index=[0, 1, 2]),
    fcn=dict(type='FCNHead', in_index=2, num_convs=2, concat_input=True),
    psp=dict(type='PSPHead', in_index=2, pool_scales=(1, 2)),
)
WIDTHS = (6, 10, 12)
SWIN = dict(type='SwinTransformer', embed_dims=16, depths=(1, 1, 2, 1), num_heads=(1, 2, 2, 4), window_size=7)
DETECTORS = dict(
    retinanet=(
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
        dict(bbox_head=dict(num_classes=3, in_channels=16, feat_channels=16, stacked_convs=2)),
    ),
    fcos=(
        'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
        dict(bbox_head=dict(num_classes=3, in_channels=16, feat_channels=32, stacked_convs=2)),
    ),
    mask_rcnn=(
        'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
        dict(
            rpn_head=dict(in_channels=16, feat_channels=16),
            roi_head=dict(
                bbox_roi_extractor=dict(out_channels=16),
                bbox_head=dict(in_channels=16, fc_out_channels=32, num_classes=3),
                mask_roi_extractor=dict(out_channels=16),
                mask_head=dict(in_channels=16, conv_out_channels=16, num_classes=3),
            ),
        ),
    ),
)


def segmentation_head(kind, **more):
    init_default_scope('mmseg')
    several = isinstance(HEADS[kind]['in_index'], list)
    cfg = dict(
        HEADS[kind],
        in_channels=list(WIDTHS) if several else WIDTHS[2],
        channels=8,
        num_classes=5,
        norm_cfg=BN,
        dropout_ratio=0.1,
    )
    cfg.update(more)
    torch.manual_seed(0)
    return MODELS.build(cfg).train()


def maps():
    random = torch.Generator().manual_seed(1)
    return [torch.randn(2, c, 24 // 2**i, 20 // 2**i, generator=random).requires_grad_() for i, c in enumerate(WIDTHS)]


def backward(head, inputs):
    torch.manual_seed(2)  # of dropout
    logits = head(inputs)
    logits.square().mean().backward()
    return [logits.detach(), *(x.grad for x in inputs if x.grad is not None), *(p.grad for p in head.parameters())]


@pytest.mark.parametrize('corners', [False, True])
@pytest.mark.parametrize('kind', HEADS)
def test_segmentation_heads_are_as_without(kind, corners):
    plain = segmentation_head(kind, align_corners=corners)
    light = copy.deepcopy(plain)
    assert put_on(light, ['heads_recomputed']) == []
    expected, found = backward(plain, maps()), backward(light, maps())
    assert len(expected) == len(found) > 5
    for e, f in zip(expected, found):
        torch.testing.assert_close(f, e, rtol=1e-5, atol=1e-6)
    # BatchNorm has seen the batch once.
    for (name, e), f in zip(plain.named_buffers(), light.buffers(), strict=True):
        torch.testing.assert_close(f, e, rtol=1e-5, atol=1e-6, msg=name)
    plain.load_state_dict(light.state_dict())
    with torch.no_grad():
        assert torch.equal(light.eval()(maps()), plain.eval()(maps()))


@pytest.mark.parametrize(
    'kind, more', [('uper', dict(norm_cfg=None)), ('segformer', dict(norm_cfg=None, interpolate_mode='bicubic'))]
)
def test_segmentation_heads_with_biases_and_other_resizing_are_as_without(kind, more):
    plain = segmentation_head(kind, **more)
    for name, p in plain.named_parameters():
        if name.endswith('bias'):  # they start from zero, and adding none of them would not be seen
            torch.nn.init.normal_(p)
    light = copy.deepcopy(plain)
    assert put_on(light, ['heads_recomputed']) == []
    for e, f in zip(backward(plain, maps()), backward(light, maps()), strict=True):
        torch.testing.assert_close(f, e, rtol=1e-5, atol=1e-6)


def reflects(fusion):
    return ConvModule(fusion.in_channels, fusion.out_channels, 3, padding=1, padding_mode='reflect', norm_cfg=BN)


def norms_first(fusion):
    more = dict(norm_cfg=BN, order=('norm', 'conv', 'act'))
    return ConvModule(fusion.in_channels, fusion.out_channels, 3, padding=1, **more)


def reflects_in_its_convolution(fusion):
    fusion.conv.padding_mode = 'reflect'
    return fusion


@pytest.mark.parametrize('change', [reflects, norms_first, reflects_in_its_convolution])
def test_a_fusion_that_is_no_plain_convolution_stays_and_is_named(change):
    plain = segmentation_head('uper')
    plain.fpn_bottleneck = change(plain.fpn_bottleneck)
    light = copy.deepcopy(plain)
    assert put_on(light, ['heads_recomputed']) == [
        'UPerHead keeps its concatenated map: its last convolution is no plain one with a norm behind.'
    ]
    for e, f in zip(backward(plain, maps()), backward(light, maps()), strict=True):
        torch.testing.assert_close(f, e, rtol=1e-5, atol=1e-6)


def test_heads_that_compute_in_a_way_of_their_own_do_so():
    from mmseg.models.decode_heads import SegformerHead, UPerHead

    class Halved(UPerHead):
        def _forward_feature(self, inputs):
            return super()._forward_feature(inputs) / 2

    class Negated(SegformerHead):
        def forward(self, inputs):
            return -super().forward(inputs)

    for kind, own in (('uper', Halved), ('segformer', Negated)):
        plain = segmentation_head(kind)
        plain.__class__ = own
        light = copy.deepcopy(plain)
        put_on(light, ['heads_recomputed'])
        for e, f in zip(backward(plain, maps()), backward(light, maps()), strict=True):
            torch.testing.assert_close(f, e, rtol=1e-5, atol=1e-6)


def detector(name, memory, folder):
    init_default_scope('mmdet')
    base, changes = DETECTORS[name]
    path = folder / 'config.py'
    path.write_text(f"_base_ = '{base}'")
    cfg = Config.fromfile(path)
    backbone = dict(_delete_=True, type='TunedBackbone', backbone=SWIN, tuning=dict(type='EST'))
    neck = dict(in_channels=[16, 32, 64, 128], out_channels=16, start_level=0)
    cfg.merge_from_dict(dict(model=dict(backbone=backbone, neck=neck, **changes), memory=memory))
    return prepare(cfg, dict(type='EST'), (96, 96))


@pytest.mark.parametrize('name', DETECTORS)
def test_detectors_are_as_without(name, tmp_path):
    results = []
    for memory in ([], ['heads_recomputed']):
        model, _ = detector(name, memory, tmp_path)
        batch = model.data_preprocessor(synthetic_batch(model, (96, 96), 2), training=True)
        model.train()
        torch.manual_seed(3)
        losses = model.parse_losses(model(**batch, mode='loss'))[0]
        losses.backward()
        results.append([losses.detach(), *(p.grad for p in model.parameters() if p.requires_grad)])
    for e, f in zip(*results, strict=True):
        torch.testing.assert_close(f, e, rtol=1e-5, atol=1e-6)


def test_detectors_need_less_memory(tmp_path):
    peaks = []
    for memory in ([], ['heads_recomputed']):
        model, optimizer = detector('retinanet', memory, tmp_path)
        peaks.append(measure_training_step(model, synthetic_batch(model, (192, 192), 2), optimizer).peak)
    assert peaks[1] < 0.95 * peaks[0]


@pytest.mark.parametrize('kind, share', [('uper', 0.7), ('segformer', 0.7)])
def test_segmentation_heads_need_less_memory(kind, share):
    peaks = []
    for light in (False, True):
        head, inputs = segmentation_head(kind), [F.interpolate(x.detach(), scale_factor=4) for x in maps()]
        if light:
            put_on(head, ['heads_recomputed'])
        with LiveTensorCounter() as counter:
            head(inputs).sum().backward()
        peaks.append(counter.peak.total)
    assert peaks[1] < share * peaks[0]
