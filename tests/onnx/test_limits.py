"""Sizes and scores that a config leaves out, and whether the check of an export sees what it should."""

import json
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.models import DetDataPreprocessor
from mmengine.structures import InstanceData
from test_graphs import RESNET, picture, write_model
from toy import METHODS

from mmest.onnx.export import export_onnx
from mmest.onnx.graph import Detector, Graph, Segmentor
from mmest.onnx.metadata import metadata
from mmest.onnx.model import OnnxModel
from mmest.onnx.own_sizes import refuse_windows
from mmest.prediction.model import Model

pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
pytest.importorskip('onnxscript', reason='onnxscript is not installed')


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp('detector') / 'model.pth'
    return Model(write_model(path, 'detection', METHODS['frozen'], backbone=RESNET), None, 'cpu').network


@pytest.mark.parametrize(
    'limits, said',
    [
        (dict(max_per_img=-1), 'max_per_img=-1'),  # all but the last, to mmdet
        (dict(max_per_img=0), 'max_per_img=0'),
        (dict(nms=dict(score_threshold=0.5)), 'nms.score_threshold=0.5'),
        (dict(nms=dict(max_num=3)), 'nms.max_num=3'),
        (dict(nms=dict(offset=1)), 'nms.offset=1'),
        (dict(nms=dict(sigma=0.5, min_score=0.1)), 'nms.sigma=0.5, nms.min_score=0.1'),
        (dict(nms=dict(class_agnostic=True, split_thr=50)), 'nms.split_thr=50'),
        (dict(nms=dict(score_threshold=0, max_num=-1, offset=0, split_thr=10000)), None),
        (dict(nms=dict(class_agnostic=True)), None),
    ],
)
def test_what_a_graph_does_not_follow_is_refused_by_name(network, monkeypatch, limits, said):
    cfg = network.bbox_head.test_cfg
    changed = {**cfg, **limits, 'nms': {**cfg.nms, **limits.get('nms', {})}}
    monkeypatch.setattr(network.bbox_head, 'test_cfg', type(cfg)(changed))
    if said is None:
        Detector(network, 64)
        return
    with pytest.raises(ValueError, match=f'The test_cfg has {re.escape(said)}, which an ONNX graph does not follow'):
        Detector(network, 64)


def test_small_boxes_are_those_that_are_small_in_the_image(tmp_path):
    """Which the network is shown at one and a half times its size."""
    wide = dict(backbone=RESNET, resize=96)
    all_of_them = Model(write_model(tmp_path / 'all.pth', 'detection', METHODS['frozen'], **wide), None, 'cpu')
    tile = picture(64, 64)
    boxes = all_of_them.detect(tile).boxes
    least = float(np.median((boxes[:, 2:] - boxes[:, :2]).min(1)))
    limit = {'test_cfg.min_bbox_size': least}
    checkpoint = write_model(tmp_path / 'x.pth', 'detection', METHODS['frozen'], changes=limit, **wide)
    export_onnx(checkpoint, tmp_path / 'x.onnx')
    wanted, found = Model(checkpoint, None, 'cpu').detect(tile), OnnxModel(tmp_path / 'x.onnx', 'cpu').detect(tile)
    assert len(wanted.boxes) > 0 and (wanted.boxes[:, 2:] - wanted.boxes[:, :2]).min() > least
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-2)


@pytest.mark.parametrize('right', [True, False])
def test_a_detector_that_finds_nothing_in_noise_is_compared_all_the_same(tmp_path, monkeypatch, right):
    nothing = {'test_cfg.score_thr': 1.0}
    checkpoint = write_model(tmp_path / 'x.pth', 'detection', METHODS['frozen'], backbone=RESNET, changes=nothing)
    if right:
        made = export_onnx(checkpoint, tmp_path / 'x.onnx')
        count = re.search('^0 objects on 64×64 pixels, ([0-9]+) objects of any score on 64×64', made.compared)
        assert int(count[1]) > 20 and made.error < 1e-4
        assert not len(OnnxModel(tmp_path / 'x.onnx', 'cpu').detect(picture(64, 64)).scores)
        return
    monkeypatch.setattr(Graph, 'prepared', lambda self, image: image * 255)  # not normalised
    with pytest.raises(ValueError, match='The graph differs from torch by'):
        export_onnx(checkpoint, tmp_path / 'x.onnx')
    assert not (tmp_path / 'x.onnx').exists()


def test_a_segmentor_at_another_scale_is_compared_with_what_the_checkpoint_gives(tmp_path, monkeypatch):
    checkpoint = write_model(tmp_path / 'x.pth', 'segmentation', METHODS['frozen'], resize=96, backbone=RESNET)
    monkeypatch.setattr(Graph, 'prepared', lambda self, image: image * 255)
    with pytest.raises(ValueError, match='The graph differs from torch by'):
        export_onnx(checkpoint, tmp_path / 'x.onnx')


def test_pictures_are_filled_up_to_a_height_and_a_width(tmp_path):
    changes = {'data_preprocessor.test_cfg': dict(size=(64, 96))}
    checkpoint = write_model(tmp_path / 'x.pth', 'segmentation', METHODS['frozen'], backbone=RESNET, changes=changes)
    model, tile = Model(checkpoint, None, 'cpu'), picture(64, 64)
    graph = Segmentor(model.network, 64).eval()
    assert graph.padded((64, 64)) == (64, 96) and graph.padded((80, 128)) == (80, 128)
    with torch.no_grad():
        found = graph(torch.from_numpy(tile.transpose(2, 0, 1)[None].astype(np.float32) / 255)).argmax(1)[0].numpy()
    assert (found == model.mask(tile)).all() and len(np.unique(found)) > 1


@pytest.mark.parametrize(
    'side, crop, filled, said',
    [
        (64, (64, 96), None, None),
        (96, (64, 128), None, 'but a tile has 96: name a smaller one, --tile 64'),
        (64, (64, 96), (64, 96), None),
        (64, (64, 64), (96, 64), 'fills pictures up to 96×64, and a graph sees all of a picture at once. Predict'),
    ],
)
def test_windows_that_are_not_square(tmp_path, side, crop, filled, said):
    changes = dict(test_cfg=dict(mode='slide', crop_size=crop, stride=(32, 32)))
    changes |= {'data_preprocessor.test_cfg': dict(size=filled)} if filled else {}
    checkpoint = write_model(tmp_path / 'x.pth', 'segmentation', METHODS['frozen'], backbone=RESNET, changes=changes)
    model = Model(checkpoint, None, 'cpu')
    graph = Segmentor(model.network, side)
    if said is None:
        refuse_windows(model, graph)
        return
    with pytest.raises(ValueError, match=said):
        refuse_windows(model, graph)


@pytest.mark.parametrize(
    'limits, left',
    [
        (dict(min_bbox_size=-1), [0, 1, 2, 3]),
        (dict(min_bbox_size=0), [0, 1, 2]),  # the last has no height
        (dict(min_bbox_size=4), [0, 1]),
        (dict(min_bbox_size=-1, nms=dict(type='nms', iou_threshold=0.5, class_agnostic=True)), [0, 2, 3]),
    ],
)
def test_boxes_of_other_classes_and_small_ones(network, monkeypatch, limits, left):
    boxes = torch.tensor([[0.0, 0, 20, 20], [0, 0, 20, 22], [30, 30, 33, 60], [50, 5, 60, 5]])
    found = InstanceData(bboxes=boxes, scores=torch.tensor([0.9, 0.8, 0.7, 0.6]), labels=torch.tensor([0, 2, 1, 0]))
    cfg = network.bbox_head.test_cfg
    monkeypatch.setattr(network.bbox_head, 'test_cfg', type(cfg)({**cfg, **limits}))
    monkeypatch.setattr(network.bbox_head, 'predict_by_feat', lambda *maps, **about: [found])
    with torch.no_grad():
        rows = Detector(network, 64).eval()(torch.rand(1, 3, 64, 64))[0]
    rows = rows[rows[:, 4] > 0]
    assert rows[:, 4].tolist() == pytest.approx(found.scores[left].tolist())
    assert rows[:, 5:].argmax(1).tolist() == found.labels[left].tolist()


@pytest.mark.parametrize('bgr_to_rgb', [True, False])
def test_what_a_picture_is_filled_up_with_is_padding_to_the_network(bgr_to_rgb):
    net = torch.nn.Module()
    net.data_preprocessor = DetDataPreprocessor(
        mean=[10, 20, 30], std=[1, 2, 3], bgr_to_rgb=bgr_to_rgb, pad_size_divisor=32, pad_value=7
    )
    graph = Graph(net, 64)
    colour = [(10 + 7) / 255, (20 + 14) / 255, (30 + 21) / 255]  # in the order of the network
    assert graph.padding == pytest.approx(colour if bgr_to_rgb else colour[::-1])
    shown = graph.prepared(torch.tensor(graph.padding).view(1, 3, 1, 1).expand(1, 3, 40, 50))
    assert shown.shape == (1, 3, 64, 64)
    torch.testing.assert_close(shown, torch.full_like(shown, 7.0), rtol=0, atol=1e-4)


def test_the_ground_of_a_pixel_is_that_of_the_picture_that_a_graph_takes(tmp_path):
    """Deepness gives the graph one and a half times as many pixels as the image has."""
    checkpoint = write_model(tmp_path / 'x.pth', 'segmentation', METHODS['frozen'], resize=96, backbone=RESNET)
    model = Model(checkpoint, None, 'cpu')
    about = metadata(model, Segmentor(model.network, 96), resolution=30)
    assert json.loads(about['resolution']) == pytest.approx(20)


@pytest.mark.parametrize('corners', [True, False])
@pytest.mark.parametrize('classes', [1, 3])
def test_masks_of_pictures_that_were_resized_are_resized_as_the_checkpoint_does(monkeypatch, corners, classes):
    logits = 3 * torch.randn(1, classes, 6, 9, generator=torch.Generator().manual_seed(0))
    shares = logits.softmax(1) if classes > 1 else logits.sigmoid()
    graph = OnnxModel.__new__(OnnxModel)
    graph._about = dict(align_corners=corners, threshold=0.3)
    monkeypatch.setattr(graph, '_run', lambda tile: (F.pad(shares, (0, 3, 0, 2))[0].numpy(), (6, 9), (0.5, 0.5)))
    whole = F.interpolate(logits, (12, 18), mode='bilinear', align_corners=corners)[0]
    wanted = whole.argmax(0) if classes > 1 else whole[0].sigmoid() > 0.3
    assert (graph.mask(np.zeros((12, 18, 3), np.uint8)) == wanted.numpy()).all()
