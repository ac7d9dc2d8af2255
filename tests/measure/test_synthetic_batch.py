"""Synthetic batches train what mmdet and mmseg build, at any size."""

import pytest
import torch
from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope, init_default_scope
from torch import nn

from mmest.measure.synthetic_batch import BOXES_PER_IMAGE, synthetic_batch

mmdet = pytest.importorskip('mmdet')
mmseg = pytest.importorskip('mmseg')

SIZE = (67, 93)


@pytest.fixture(autouse=True)
def scope_of_before():
    """Building in the scope of one framework must not reach other tests."""
    before = DefaultScope.get_current_instance()
    yield
    if before is not None:
        init_default_scope(before.scope_name)


def losses(config, change=lambda model: None, batch_size=2):
    cfg = get_config(config)
    init_default_scope(cfg.default_scope)
    cfg.model.backbone.init_cfg = None
    cfg.model.pop('pretrained', None)
    change(cfg.model)
    model = MODELS.build(cfg.model)
    batch = synthetic_batch(model, SIZE, batch_size)
    data = model.data_preprocessor(batch, True)
    return model(**data, mode='loss')


def small_resnet(model):
    """What a test of batches needs: narrow, shallow, plain BatchNorm."""
    model.backbone.update(depth=18, norm_cfg=dict(type='BN', requires_grad=True))
    if 'neck' in model:
        model.neck.in_channels = [64, 128, 256, 512]


def finite(values):
    flat = [v for value in values.values() for v in (value if isinstance(value, list) else [value])]
    return all(bool(torch.isfinite(v).all()) for v in flat)


@pytest.mark.parametrize(
    'config',
    [
        'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
        'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    ],
)
def test_detectors(config):
    found = losses(config, small_resnet)
    assert finite(found)
    assert ('loss_mask' in found) == ('mask' in config)


def test_segmentor():

    def small(model):
        norm = dict(type='BN', requires_grad=True)
        model.backbone.update(depth=18, norm_cfg=norm)
        model.data_preprocessor.size = SIZE
        model.decode_head.update(in_channels=512, channels=16, num_classes=7, norm_cfg=norm)
        model.auxiliary_head.update(in_channels=256, channels=16, num_classes=7, norm_cfg=norm)

    assert finite(losses('mmseg::fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py', small))


def detector(num_classes=3):
    cfg = get_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
    init_default_scope('mmdet')
    cfg.model.backbone.init_cfg = None
    cfg.model.bbox_head.num_classes = num_classes
    small_resnet(cfg.model)
    return MODELS.build(cfg.model)


def test_boxes_lie_in_the_image_and_labels_in_the_classes():
    batch = synthetic_batch(detector(), SIZE, 3)
    assert [tuple(image.shape) for image in batch['inputs']] == [(3, *SIZE)] * 3
    for sample in batch['data_samples']:
        instances = sample.gt_instances
        boxes = instances.bboxes.tensor
        assert len(boxes) == BOXES_PER_IMAGE
        assert (boxes[:, 2:] - boxes[:, :2]).min() > 1
        assert boxes.min() >= 0
        assert (boxes[:, [0, 2]] <= SIZE[1]).all()
        assert (boxes[:, [1, 3]] <= SIZE[0]).all()
        assert set(instances.labels.tolist()) == {0, 1, 2}


@pytest.mark.parametrize('tuned', [True, False])
@pytest.mark.parametrize('channels', [1, 4])
def test_images_have_the_channels_that_the_backbone_takes(channels, tuned):
    model = detector()
    backbone = dict(type='ResNet', depth=18, base_channels=8, in_channels=channels)
    wrapped = dict(type='TunedBackbone', tuning=dict(type='Full'), backbone=backbone)
    model.backbone = MODELS.build(wrapped if tuned else backbone)
    assert {image.shape for image in synthetic_batch(model, SIZE, 2)['inputs']} == {(channels, *SIZE)}


def test_same_every_time():
    model = detector()
    one, two = (synthetic_batch(model, SIZE, 1) for _ in range(2))
    assert torch.equal(one['inputs'][0], two['inputs'][0])


def test_bad_input_is_a_sentence():
    with pytest.raises(TypeError, match='detector of mmdet or a segmentor'):
        synthetic_batch(nn.Linear(2, 2), SIZE, 1)
    with pytest.raises(ValueError, match='32×32'):
        synthetic_batch(nn.Linear(2, 2), (16, 64), 1)
