"""A model predicts as it was trained: the same pixels, at the same scale."""

import copy

import cv2
import numpy as np
import pytest
import shapely
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, TRANSFORMS, init_default_scope
from PIL import Image
from toy import BACKBONES

from mmest.configs import configs_root
from mmest.pictures import ImageFile
from mmest.pictures.transforms import use_reader
from mmest.prediction.model import Model
from mmest.prediction.shapes import polygons_of, shape_of_mask
from mmest.prediction.training_scale import TrainingScale, predict_at

pytest.importorskip('mmseg')
RGB = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
FORMATS = {
    'x.png': lambda path: Image.fromarray(RGB).save(path),
    'grey.png': lambda path: Image.fromarray(RGB[..., 0]).save(path),
    'x.jpg': lambda path: Image.fromarray(cv2.GaussianBlur(RGB, (9, 9), 3)).save(path, quality=90),
    'x.tif': lambda path: Image.fromarray(RGB).save(path, compression='tiff_lzw'),
    'ycbcr.tif': lambda path: Image.fromarray(RGB).save(path, compression='jpeg'),
    'cmyk.tif': lambda path: Image.fromarray(RGB).convert('CMYK').save(path),
    'palette.tif': lambda path: Image.fromarray(RGB).quantize(64).save(path),
    'deep.png': lambda path: cv2.imwrite(str(path), RGB.astype(np.uint16) * 11),
    'deep.tif': lambda path: cv2.imwrite(str(path), RGB.astype(np.uint16) * 11),
    'float.tif': lambda path: Image.fromarray(RGB[..., 0].astype(np.float32) * 11).save(path),
}


def write_model(path, task):
    """A tiny model with random weights, as training leaves it."""
    if task == 'detection':
        cfg = Config.fromfile(configs_root() / '_base_/models/light-retinanet.py')
        cfg.merge_from_dict(dict(default_scope='mmdet'))
        cfg.model.neck = dict(cfg.fpn, in_channels=[16, 32, 64, 128])
        cfg.model.bbox_head.num_classes = 3
        pack, load = 'PackDetInputs', dict(type='LoadAnnotations', with_bbox=True)
        backbone = BACKBONES['swin']
    else:
        cfg = Config.fromfile(configs_root() / '_base_/models/light-segformer.py')
        cfg.default_scope = 'mmseg'
        cfg.model.decode_head.update(in_channels=[16, 32, 64, 128], in_index=[0, 1, 2, 3], num_classes=3)
        cfg.model.data_preprocessor.size = (64, 64)
        pack, load, backbone = 'PackSegInputs', dict(type='LoadAnnotations'), BACKBONES['swin_mmseg']
    cfg.image_scale = (0, 2805)
    kind = 'CocoDataset' if task == 'detection' else 'BaseSegDataset'
    cfg.custom_imports = dict(imports=['mmest'], allow_failed_imports=False)
    pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 64), keep_ratio=True), dict(type=pack)]
    cfg.train_dataloader = dict(dataset=dict(type=kind, pipeline=[*pipeline[:1], load, *pipeline[1:]]))
    cfg.test_dataloader = dict(dataset=dict(type=kind, pipeline=[*pipeline[:2], load, pipeline[2]]))
    cfg.model.backbone = dict(type='TunedBackbone', tuning=dict(type='Full'), backbone=dict(backbone))
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=('a', 'b', 'water'), image_size=[64, 64]))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return cfg


@pytest.fixture(scope='module', params=['detection', 'segmentation'])
def trained(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param) / 'model.pth'
    cfg = write_model(path, request.param)
    return request.param, cfg, Model(path, None, 'cpu')


def test_a_delta_is_no_checkpoint_of_a_model_that_nothing_tunes(tmp_path):
    """Neck and head alone would be loaded."""
    cfg = write_model(tmp_path / 'model.pth', 'segmentation')
    delta = torch.load(tmp_path / 'model.pth')
    delta['state_dict'] = {k: v for k, v in delta['state_dict'].items() if not k.startswith('backbone.')}
    delta['state_dict']['backbone.delta_info'] = torch.zeros(9, dtype=torch.uint8)
    torch.save(delta, tmp_path / 'delta.pth')
    cfg.model.backbone = cfg.model.backbone.backbone
    cfg.dump(tmp_path / 'plain.py')
    with pytest.raises(ValueError, match='The checkpoint is a delta, .* nothing in this EncoderDecoder is tuned'):
        Model(tmp_path / 'delta.pth', tmp_path / 'plain.py', 'cpu')


@pytest.mark.parametrize('name', FORMATS)
def test_the_network_is_given_what_training_gives_it_bit_for_bit(trained, name, tmp_path):
    task, cfg, model = trained
    init_default_scope(cfg.default_scope)
    FORMATS[name](tmp_path / name)
    loader = copy.deepcopy(cfg.train_dataloader)
    use_reader(loader, task == 'segmentation', cfg.image_scale)
    results = dict(img_path=str(tmp_path / name), img_id=0, instances=[], seg_fields=[], seg_map_path='')
    for step in loader.dataset.pipeline:
        if step['type'] not in ('LoadAnnotations', 'LoadMask'):
            results = TRANSFORMS.build(step)(results)
    preprocess = model.network.data_preprocessor
    trains = preprocess(dict(inputs=[results['inputs']], data_samples=[results['data_samples']]), False)['inputs']
    given = []
    hook = model.network.backbone.register_forward_pre_hook(lambda module, args: given.append(args[0]))
    with ImageFile(tmp_path / name, **model.reading) as image:
        tile = image.read((0, 0, 64, 64))
    model.detect(tile) if task == 'detection' else model.mask(tile)
    hook.remove()
    assert len(given) == 1 and torch.equal(given[0], trains)


def test_the_tile_is_what_training_showed(trained):
    _, _, model = trained
    assert (model.tile, model.reading) == (64, dict(scale=(0, 2805), bands=None))
    assert not model.detects or model.most == 100


@pytest.mark.parametrize(
    'steps, size, expected',
    [
        ([dict(type='Resize', scale=(800, 800), keep_ratio=True)], None, (1, 800)),
        ([dict(type='Resize', scale=(800, 800), keep_ratio=True)], [4000, 3000], (0.2, 4000)),
        ([dict(type='Resize', scale=(1333, 800), keep_ratio=True)], [640, 480], (800 / 480, 800)),
        ([dict(type='Resize', scale=(300, 300), keep_ratio=False)], [600, 600], (0.5, 600)),
        ([dict(type='RandomCrop', crop_size=(192, 192))], [640, 360], (1, 192)),
        (
            [
                dict(type='RandomResize', scale=(512, 512), ratio_range=(0.5, 2), keep_ratio=True),
                dict(type='mmseg.RandomCrop', crop_size=(512, 512)),
            ],
            [1024, 1024],
            (0.5, 1024),
        ),
        (
            [  # as RTMDet's: the canvas of a mosaic has twice the sides of what an image is fitted into
                dict(type='CachedMosaic', img_scale=(640, 640), pad_val=114.0),
                dict(type='RandomResize', scale=(1280, 1280), ratio_range=(0.1, 2.0), keep_ratio=True),
                dict(type='RandomCrop', crop_size=(640, 640)),
            ],
            [1280, 720],
            (0.5, 1280),
        ),
        ([dict(type='Mosaic', img_scale=(640, 640)), dict(type='Resize', scale=(99, 99))], [320, 200], (2, 320)),
        ([[dict(type='RandomChoiceResize', scales=[(9, 9)]), dict(type='Pack')]], [900, 900], (0.01, 900)),
        (
            [dict(type='RandomChoiceResize', scales=[(1333, 640), (1333, 800), (1333, 720)], keep_ratio=True)],
            [2666, 1440],
            (0.5, 2666),
        ),
        (
            [
                dict(
                    type='RandomChoiceResize',
                    scales=[256, 512, 1024],
                    resize_type='ResizeShortestEdge',
                    max_size=2048,
                ),
                dict(type='RandomCrop', crop_size=(512, 512)),
            ],
            [2000, 1024],
            (0.5, 1024),
        ),
        ([dict(type='mmseg.ResizeShortestEdge', scale=512, max_size=800)], [1600, 512], (0.5, 1600)),
        ([dict(type='ResizeShortestEdge', scale=512, max_size=800)], None, (1, 512)),
        ([dict(type='FixShapeResize', width=640, height=480, keep_ratio=True)], [1280, 960], (0.5, 1280)),
        ([dict(type='Resize', scale_factor=0.25, keep_ratio=True)], [2000, 1000], (0.25, 2000)),
        (
            [dict(type='Resize', scale_factor=(2.0, 2.0)), dict(type='RandomCrop', crop_size=(64, 64))],
            [100, 100],
            (2, 32),
        ),
        ([dict(type='Pack')], None, (1, 96)),
    ],
)
def test_scale_of_a_training(steps, size, expected):
    cfg = Config(
        dict(
            model=dict(data_preprocessor=dict(size=(96, 64)) if size is None else dict()),
            train_dataloader=dict(dataset=dict(dataset=dict(pipeline=steps))),
            test_dataloader=dict(
                dataset=dict(
                    pipeline=[dict(type='LoadImageFromFile'), dict(type='Resize', scale=(9, 9)), dict(type='P')]
                )
            ),
        )
    )
    scale = TrainingScale.of(cfg, size)
    assert (scale.factor, scale.tile) == pytest.approx(expected)
    predict_at(cfg, scale.factor)
    load, resize, pack = cfg.test_dataloader.dataset.pipeline
    assert (load.type, pack.type) == ('LoadImageFromFile', 'P') and cfg.test_pipeline[1].scale_factor == scale.factor
    assert resize.type == 'Resize' and 'scale' not in resize


def several(dataset: dict) -> dict:
    part = dict(dataset, ann_file='labels/that/are/not/there.json')
    return dict(dataset=dict(type='ConcatDataset', datasets=[part, dict(part)]))


LOADERS = {
    'of several data sets': lambda dataset: dict(test_dataloader=several(dataset)),
    'repeated': lambda dataset: dict(
        test_dataloader=dict(dataset=dict(type='RepeatDataset', times=2, dataset=several(dataset)['dataset']))
    ),
    'none': lambda dataset: dict(test_dataloader=None, val_dataloader=None),
    'validation alone': lambda dataset: dict(test_dataloader=None, val_dataloader=dict(dataset=dataset)),
}


@pytest.mark.parametrize('name', LOADERS)
def test_a_model_predicts_whatever_it_is_tested_on(trained, name, tmp_path):
    """Without its labels, and beside a model of the other framework."""
    task, cfg, model = trained
    other = Config.fromstring(cfg.pretty_text, '.py')
    for key, loader in LOADERS[name](cfg.test_dataloader.dataset.to_dict()).items():
        other[key] = loader
    meta = dict(cfg=other.pretty_text, dataset_meta=dict(classes=('a', 'b', 'water'), image_size=[64, 64]))
    torch.save(dict(state_dict=model.network.state_dict(), meta=meta), tmp_path / 'model.pth')
    found = Model(tmp_path / 'model.pth', None, 'cpu')
    init_default_scope('mmseg' if task == 'detection' else 'mmdet')
    assert found.tile == 64
    if task == 'segmentation':
        assert (found.mask(RGB) == model.mask(RGB)).all()
    else:
        assert (found.detect(RGB).boxes == model.detect(RGB).boxes).all()


def test_instance_masks_keep_their_form():
    mask = np.zeros((40, 60), bool)
    mask[5:20, 8:30] = True
    mask[10:14, 12:20] = False
    mask[30, 40] = True
    mask[33, 2:50] = True
    shape = shape_of_mask(mask)
    assert shape.area == mask.sum() and len(polygons_of(shape)) == 3
    assert shape.bounds == (2, 5, 50, 34) and sum(len(one.interiors) for one in polygons_of(shape)) == 1
    assert all(one.exterior.is_ccw for one in polygons_of(shape))
    assert shape_of_mask(np.zeros((5, 5), bool)).is_empty


def test_instance_masks_of_a_model_in_a_config_of_mmdet(tmp_path):
    (tmp_path / 'small.py').write_text("""_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
backbone = dict(type='ResNet', depth=50, base_channels=8, num_stages=4, out_indices=(0, 1, 2, 3))
tuned = dict(_delete_=True, type='TunedBackbone', backbone=backbone, tuning=dict(type='Full'))
narrow = dict(out_channels=32)
model = dict(
    backbone=tuned,
    neck=dict(in_channels=[32, 64, 128, 256], **narrow),
    rpn_head=dict(in_channels=32, feat_channels=32),
    roi_head=dict(
        bbox_roi_extractor=narrow,
        mask_roi_extractor=narrow,
        bbox_head=dict(in_channels=32, fc_out_channels=64, num_classes=3),
        mask_head=dict(in_channels=32, conv_out_channels=32, num_classes=3),
    ),
    test_cfg=dict(rcnn=dict(score_thr=1e-6, max_per_img=5)),
)
""")
    cfg = Config.fromfile(tmp_path / 'small.py')
    init_default_scope('mmdet')
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=('a', 'b', 'c'), image_size=[1333, 800]))
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(), meta=meta), tmp_path / 'model.pth')
    model = Model(tmp_path / 'model.pth', None, 'cpu')
    assert (model.tile, model.most, model.lowest_score) == (1333, 5, 1e-6)
    found = model.detect(RGB)
    assert len(found.boxes) == len(found.shapes) == 5
    for box, shape in zip(found.boxes, found.shapes):
        assert 0 < shape.area <= 64 * 64 and shape.intersects(shapely.box(*box))
