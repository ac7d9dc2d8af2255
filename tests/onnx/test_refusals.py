"""What cannot become a graph is refused with its cause and a way out."""

import logging

import pytest
import torch
import torch.nn.functional as F
from mmdet.models import RetinaHead
from mmdet.registry import TRANSFORMS
from mmengine.config import Config
from test_graphs import RESNET, write_model
from toy import METHODS

from mmest.onnx import export
from mmest.onnx.export import export_onnx
from mmest.onnx.own_sizes import refuse_other_sizes
from mmest.prediction.model import Model


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    folder = tmp_path_factory.mktemp('detector')
    return write_model(folder / 'model.pth', 'detection', METHODS['frozen'], backbone=RESNET)


def with_step(checkpoint, out, **step):
    """The checkpoint with one more step after the last one of its test pipeline but packing."""
    content = torch.load(checkpoint, weights_only=True)
    cfg = Config.fromstring(content['meta']['cfg'], '.py')
    cfg.test_dataloader.dataset.pipeline.insert(-1, step)
    content['meta']['cfg'] = cfg.pretty_text
    torch.save(content, out)
    return out


VALUE = dict(pad_val=dict(img=(114, 114, 114)))
PADDED = [
    (dict(size=(96, 96)), 64, False, '96×96 pixels of 64×64.*a tile that it leaves as it is, --tile 96'),
    (dict(size=(128, 96)), 64, False, '96×128 pixels of 64×64.*--tile 128'),
    (dict(size_divisor=32), 80, False, '96×96 pixels of 80×80.*--tile 96'),
    (dict(size=(96, 96)), 128, True, '96×96 pixels of 64×96.*leave --dynamic out'),
    (dict(pad_to_square=True), 64, True, '96×96 pixels of 64×96.*leave --dynamic out'),
]


@pytest.mark.parametrize('how, tile, dynamic, said', PADDED)
def test_a_test_pipeline_that_pads(detector, tmp_path, how, tile, dynamic, said):
    checkpoint = with_step(detector, tmp_path / 'x.pth', type='Pad', **how, **VALUE)
    with pytest.raises(ValueError, match=f'The test pipeline has mmdet.Pad, which makes {said}'):
        export_onnx(checkpoint, tmp_path / 'x.onnx', tile=tile, dynamic=dynamic)
    assert not (tmp_path / 'x.onnx').exists()


@pytest.mark.parametrize('how', [dict(size=(64, 64)), dict(size=(32, 64)), dict(size_divisor=32)])
def test_what_it_leaves_as_it_is_is_let_pass(detector, tmp_path, how):
    model = Model(with_step(detector, tmp_path / 'x.pth', type='Pad', **how, **VALUE), None, 'cpu')
    refuse_other_sizes(model, (64, 64), False)
    with pytest.raises(ValueError, match='mmdet.Pad'):
        refuse_other_sizes(model, (40, 40), False)


@TRANSFORMS.register_module(force=True)
class FirstChannel:
    def __call__(self, results):
        return dict(results, img=results['img'][..., :1])


def channels(number):
    return {'backbone.backbone.in_channels': number}


def test_images_that_are_not_rgb(tmp_path):
    four = write_model(tmp_path / '4.pth', 'detection', METHODS['full'], backbone=RESNET, changes=channels(4))
    with pytest.raises(ValueError, match='4.pth takes images of 4 channels, but prediction reads RGB'):
        export_onnx(four, tmp_path / 'x.onnx')
    one = write_model(tmp_path / '1.pth', 'detection', METHODS['full'], backbone=RESNET, changes=channels(1))
    made = with_step(one, tmp_path / 'made.pth', type='FirstChannel')
    with pytest.raises(
        ValueError, match='of which the test pipeline of .*made.pth makes another number of channels, 1'
    ):
        export_onnx(made, tmp_path / 'x.onnx')
    assert not (tmp_path / 'x.onnx').exists()


def by_values(self, cls_scores, *rest, **named):
    return cls_scores[0][: int(cls_scores[0].sum())]


def unwritten(self, *args, **named):
    raise AssertionError('it only supports with_nms=True')


def too_small(self, maps, *args, **named):
    return F.max_pool2d(maps[0][..., :1, :1], 2)  # which torch logs as an error, and raises


@pytest.fixture
def logged():
    """What torch logs."""
    lines = []
    handler = logging.Handler()
    handler.emit = lines.append
    logging.getLogger('torch').addHandler(handler)
    yield lines
    logging.getLogger('torch').removeHandler(handler)


@pytest.mark.parametrize(
    'head, dynamic, way_out',
    [
        (too_small, False, 'Predict from the checkpoint.'),
        (by_values, False, 'Predict from the checkpoint.'),
        (unwritten, False, 'Predict from the checkpoint.'),
        (unwritten, True, 'leave --dynamic out'),
    ],
)
def test_a_head_that_is_no_graph(detector, tmp_path, monkeypatch, capsys, logged, head, dynamic, way_out):
    monkeypatch.setattr(RetinaHead, 'predict_by_feat', head)
    with pytest.raises(ValueError, match='RetinaNet with RetinaHead cannot be written as an ONNX graph: ') as said:
        export_onnx(detector, tmp_path / 'x.onnx', dynamic=dynamic)
    assert way_out in str(said.value) and not (tmp_path / 'x.onnx').exists()
    assert 'def forward' not in capsys.readouterr().err  # torch's graph, as far as it came
    assert not logged


def test_weights_that_no_file_holds(detector, tmp_path, monkeypatch):
    held = sum(p.nbytes for p in Model(detector, None, 'cpu').network.parameters())
    monkeypatch.setattr(export, '_LARGEST', held - 1)
    with pytest.raises(ValueError, match='The weights of RetinaNet take 0.0 GiB in float32, and an ONNX graph holds 2'):
        export_onnx(detector, tmp_path / 'x.onnx')
    assert not (tmp_path / 'x.onnx').exists()
