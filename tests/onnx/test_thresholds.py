"""What is foreground of one channel, to mmest, to Deepness and to the checkpoint."""

import json

import numpy as np
import official_trees as trees
import pytest
import torch
from PIL import Image
from test_graphs import RESNET, picture, write_model
from toy import METHODS

from mmest.onnx.export import export_onnx
from mmest.onnx.graph import Segmentor
from mmest.onnx.metadata import metadata
from mmest.onnx.model import OnnxModel
from mmest.pictures import ImageFile
from mmest.prediction.masks import predict_mask
from mmest.prediction.model import Model

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
pytest.importorskip('onnxscript', reason='onnxscript is not installed')


def written(path, classes, **head):
    """A segmentor of some classes whose head has these arguments."""
    changes = {f'decode_head.{name}': value for name, value in head.items()}
    checkpoint = write_model(path, 'segmentation', METHODS['frozen'], backbone=RESNET, changes=changes)
    content = torch.load(checkpoint, weights_only=True)
    content['meta']['dataset_meta']['classes'] = classes
    torch.save(content, checkpoint)
    return checkpoint


def move_to_the_threshold(checkpoint, tile):
    """Have the head give 0.3 and less to half of a tile, and more to the other."""
    graph = Segmentor(Model(checkpoint, None, 'cpu').network, 64).eval()
    with torch.no_grad():
        shares = graph(torch.from_numpy(tile.transpose(2, 0, 1)[None].astype(np.float32) / 255))
    content = torch.load(checkpoint, weights_only=True)
    content['state_dict']['decode_head.conv_seg.bias'] += torch.tensor(0.3).logit() - shares.logit().median()
    torch.save(content, checkpoint)


def told(model):
    about = metadata(model, Segmentor(model.network, 64).eval(), None)
    return {name: json.loads(text) for name, text in about.items()}


TWO = dict(num_classes=2, out_channels=1)


@pytest.mark.parametrize(
    'head, wanted',
    [
        (TWO, 0.3),  # mmseg's default
        (dict(TWO, threshold=0.6), 0.6),
        (dict(TWO, threshold=0), 0),
        (dict(num_classes=1), 0.3),
        (dict(num_classes=2), None),
        (dict(num_classes=3), None),
    ],
)
def test_the_head_says_what_is_foreground_of_one_channel(tmp_path, head, wanted):
    about = told(Model(written(tmp_path / 'x.pth', ('a', 'b', 'c')[: head['num_classes']], **head), None, 'cpu'))
    assert about['seg_thresh'] == (wanted or 0)
    assert about['mmest']['threshold'] == wanted


def test_deepness_and_mmest_mark_what_the_checkpoint_marks(tmp_path):
    checkpoint = written(tmp_path / 'x.pth', ('ground', 'road'), **TWO)
    tile = picture(64, 64)
    move_to_the_threshold(checkpoint, tile)
    export_onnx(checkpoint, tmp_path / 'x.onnx')
    model, graph = Model(checkpoint, None, 'cpu'), OnnxModel(tmp_path / 'x.onnx', 'cpu')
    wanted, share = model.mask(tile), graph.probabilities(tile)[0]
    assert 0.4 < wanted.mean() < 0.6 and ((share > 0.3) & (share < 0.5)).any()
    assert (graph.mask(tile) != wanted).mean() < 1e-3
    entries = {entry.key: entry.value for entry in onnx.load(tmp_path / 'x.onnx').metadata_props}
    share[share < float(entries['seg_thresh'])] = 0.0  # as Deepness
    assert ((share != 0) != wanted).mean() < 1e-3


def test_what_is_not_of_the_one_class_is_background(tmp_path):
    checkpoint, tile = written(tmp_path / 'x.pth', ('road',), num_classes=1), picture(64, 64)
    content = torch.load(checkpoint, weights_only=True)
    content['meta']['dataset_meta']['palette'] = [[9, 8, 7]]
    torch.save(content, checkpoint)
    move_to_the_threshold(checkpoint, tile)
    export_onnx(checkpoint, tmp_path / 'x.onnx')
    trees.write(tmp_path / 'x.png', tile)
    for model in (Model(checkpoint, None, 'cpu'), OnnxModel(tmp_path / 'x.onnx', 'cpu')):
        assert model.classes == ('background', 'road') and len(model.palette) == 2
        out = tmp_path / type(model).__name__
        with ImageFile(tmp_path / 'x.png') as image:
            mask, _ = predict_mask(model, image, out, 64, 0, lambda: None)
        assert 0.4 < np.asarray(Image.open(mask)).mean() < 0.6
