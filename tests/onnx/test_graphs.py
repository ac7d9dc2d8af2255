"""A graph gives what torch gives."""

import json
import sys
from pathlib import Path

import cv2
import mmdet
import numpy as np
import official_trees as trees
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from toy import METHODS

from mmest.cli import main
from mmest.onnx.export import export_onnx
from mmest.onnx.graph import Detector
from mmest.onnx.model import OnnxModel
from mmest.onnx.suppression import suppress
from mmest.prediction.model import Model

onnx = pytest.importorskip('onnx', reason='onnx is not installed')
pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
pytest.importorskip('onnxscript', reason='onnxscript is not installed')
pytest.importorskip('mmseg')

SWIN = dict(type='SwinTransformer', embed_dims=16, depths=(1, 1), num_heads=(1, 2), window_size=4, out_indices=(0, 1))
RESNET = dict(
    type='ResNet', depth=18, base_channels=16, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1)
)
VIT = dict(type='mmseg.VisionTransformer', img_size=64, embed_dims=16, num_layers=2, num_heads=2, out_indices=(0, 1))


def write_model(
    path: Path, task: str, tuning: dict, resize: int = 64, backbone: dict = SWIN, changes: dict = None
) -> Path:
    """A model of two stages with random weights, as training leaves it; its method and head have moved."""
    from mmest.configs import configs_root

    channels = [16, 32 if backbone in (SWIN, RESNET) else 16]
    if task == 'detection':
        cfg = Config.fromfile(configs_root() / '_base_/models/light-retinanet.py')
        cfg.default_scope, pack = 'mmdet', 'PackDetInputs'
        cfg.model.neck = dict(cfg.fpn, in_channels=channels, num_outs=4, add_extra_convs='on_output')
        cfg.model.bbox_head.update(num_classes=3, stacked_convs=1)
        cfg.model.bbox_head.anchor_generator.strides = [4, 8, 16, 32]
        cfg.model.test_cfg.update(score_thr=0.3, max_per_img=40)
    else:
        cfg = Config.fromfile(configs_root() / '_base_/models/light-segformer.py')
        cfg.default_scope, pack = 'mmseg', 'PackSegInputs'
        cfg.model.decode_head.update(in_channels=channels, in_index=[0, 1], channels=32, num_classes=3)
        cfg.model.data_preprocessor.size = (64, 64)
    cfg.model.backbone = dict(type='TunedBackbone', tuning=tuning, backbone=dict(backbone))
    cfg.merge_from_dict({f'model.{name}': value for name, value in (changes or {}).items()})
    cfg.custom_imports = dict(imports=['mmest'], allow_failed_imports=False)
    pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(resize, resize), keep_ratio=True)]
    kind = 'CocoDataset' if task == 'detection' else 'BaseSegDataset'
    cfg.train_dataloader = dict(dataset=dict(type=kind, pipeline=[*pipeline, dict(type=pack)]))
    cfg.test_dataloader = cfg.train_dataloader
    init_default_scope(cfg.default_scope)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = MODELS.build(cfg.model)
        for name, p in model.named_parameters():
            if p.requires_grad and 'retina_cls.bias' not in name:
                p.data += 0.1 * torch.randn_like(p)
            elif 'retina_cls.bias' in name:
                p.data.fill_(-1.0)
        if task == 'segmentation':  # each class is the largest somewhere
            with torch.no_grad():
                logits = model.eval().decode_head(model.extract_feat(torch.randn(1, 3, 64, 64)))
                model.decode_head.conv_seg.bias -= logits.mean((0, 2, 3))
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=('a', 'b', 'water'), image_size=[64, 64]))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='module', params=['detection', 'segmentation'])
def exported(request, tmp_path_factory):
    """The task, a checkpoint of a side network, and its graph."""
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = write_model(folder / 'model.pth', request.param, METHODS['est'])
    main(['export', str(checkpoint), '--onnx', '--resolution', '25'])
    return request.param, checkpoint, folder / 'model.onnx'


@pytest.fixture(
    scope='module',
    params=[('segmentation', VIT), ('detection', RESNET)],
    ids=['segmentation-vit', 'detection-resnet'],
)
def dynamic(request, tmp_path_factory):
    """The task, a checkpoint of EST, and its graph of dynamic size."""
    task, backbone = request.param
    folder = tmp_path_factory.mktemp('dynamic')
    checkpoint = write_model(folder / 'model.pth', task, METHODS['est'], backbone=backbone)
    made = export_onnx(checkpoint, folder / 'model.onnx', dynamic=True)
    assert made.multiple == 32 and made.error < 1e-4 and '64×64' in made.compared and '64×96' in made.compared
    return task, checkpoint, folder / 'model.onnx'


def picture(height: int, width: int) -> np.ndarray:
    coarse = np.random.default_rng(1).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def test_onnxruntime_gives_what_torch_gives(exported):
    compare(exported, 64, 64)


@pytest.mark.parametrize('dtype', ['bf16', 'int8'])
def test_frozen_weights_that_were_rounded_are_in_float32(dtype, tmp_path):
    changes = {'backbone.frozen_dtype': dtype}
    checkpoint = write_model(tmp_path / 'model.pth', 'segmentation', METHODS['est'], changes=changes)
    assert export_onnx(checkpoint, tmp_path / 'model.onnx').error < 1e-5
    kinds = {tensor.data_type for tensor in onnx.load(tmp_path / 'model.onnx').graph.initializer}
    assert onnx.TensorProto.BFLOAT16 not in kinds
    wanted = Model(checkpoint, None, 'cpu').mask(picture(64, 64))
    assert (OnnxModel(tmp_path / 'model.onnx', 'cpu').mask(picture(64, 64)) != wanted).mean() < 0.05


def compare(exported, height: int, width: int) -> None:
    task, checkpoint, path = exported
    torch_model, graph, tile = Model(checkpoint, None, 'cpu'), OnnxModel(path, 'cpu'), picture(height, width)
    if task == 'segmentation':
        wanted = torch_model.mask(tile)
        assert len(np.unique(wanted)) > 1
        assert (graph.mask(tile) != wanted).mean() < 1e-3
        return
    wanted, found = torch_model.detect(tile), graph.detect(tile)
    assert torch_model.most == graph.most == 40
    assert len(wanted.scores) > 5
    np.testing.assert_allclose(found.scores, wanted.scores, atol=1e-4)
    np.testing.assert_allclose(found.boxes, wanted.boxes, atol=1e-2)
    assert (found.labels == wanted.labels).all()


def test_predict_writes_from_a_graph_what_it_writes_from_the_checkpoint(exported, tmp_path):
    compare_predictions(exported, tmp_path)


def compare_predictions(exported, tmp_path: Path, *options: str) -> None:
    task, checkpoint, path = exported
    image = tmp_path / 'scene.png'
    trees.write(image, picture(96, 160))
    for model in (checkpoint, path):
        main(['predict', str(model), str(image), '--out', str(tmp_path / model.suffix[1:]), *options])
    if task == 'segmentation':
        one, other = (cv2.imread(str(tmp_path / kind / 'scene_mask.png'), -1) for kind in ('pth', 'onnx'))
        assert (one != other).mean() < 1e-3
        return
    one, other = (json.loads((tmp_path / kind / 'scene_coco.json').read_text()) for kind in ('pth', 'onnx'))
    assert one['categories'] == other['categories'] and one['images'] == other['images']
    rows = [
        np.array([[*found['bbox'], found['category_id']] for found in written['annotations']])
        for written in (one, other)
    ]
    assert min(map(len, rows)) > 5
    apart = np.abs(rows[0][:, None] - rows[1]).max(-1)
    # What overlaps or scores at a limit may be in one alone, by its last bit.
    assert (apart.min(0) > 1e-2).sum() + (apart.min(1) > 1e-2).sum() <= 0.02 * sum(map(len, rows))


@pytest.mark.parametrize('height, width', [(64, 64), (128, 64), (96, 160)])
def test_a_graph_of_dynamic_size_gives_what_torch_gives(dynamic, height, width):
    compare(dynamic, height, width)


def test_a_graph_of_dynamic_size_is_made_where_the_coarsest_map_of_a_pyramid_has_two_positions(tmp_path):
    """One position would be taken for a fixed number."""
    strides = [4, 8, 16, 32, 64, 128]
    pyramid = {'neck.num_outs': 6, 'bbox_head.anchor_generator.strides': strides}
    checkpoint = write_model(tmp_path / 'model.pth', 'detection', METHODS['est'], backbone=RESNET, changes=pyramid)
    made = export_onnx(checkpoint, tmp_path / 'model.onnx', dynamic=True)
    assert (made.multiple, made.least) == (32, 256)
    assert made.error < 1e-4 and '256×256' in made.compared and '256×288' in made.compared
    for height, width in ((256, 256), (320, 288)):
        compare(('detection', checkpoint, tmp_path / 'model.onnx'), height, width)


def test_predict_takes_tiles_of_any_size_with_a_graph_of_dynamic_size(dynamic, tmp_path):
    """The one tile is larger than those of the export, and as large as the image."""
    compare_predictions(dynamic, tmp_path, '--tile', '160')


def test_a_graph_of_dynamic_size_names_its_sides_and_still_a_tile(dynamic):
    task, _, path = dynamic
    graph = onnx.load(path)
    told = {entry.key: json.loads(entry.value) for entry in graph.metadata_props}
    assert told['tile_size'] == OnnxModel(path, 'cpu').tile == 64
    shapes = [
        [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*graph.graph.input, *graph.graph.output)
    ]
    assert shapes == [[1, 3, 'height', 'width'], [1, 40, 8] if task == 'detection' else [1, 3, 'height', 'width']]


def test_a_picture_is_filled_up_to_a_size_that_a_graph_of_dynamic_size_takes(dynamic):
    graph, tile = OnnxModel(dynamic[2], 'cpu'), picture(80, 40)
    assert graph.shown(tile).shape == (1, 3, 96, 64)
    colour = [value / 255 for value in (123.675, 116.28, 103.53)]
    np.testing.assert_allclose(
        graph.shown(tile)[0, :, 80:].transpose(1, 2, 0), np.broadcast_to(colour, (16, 64, 3)), atol=1e-6
    )


def test_deepness_finds_what_it_reads(exported):
    task, _, path = exported
    graph = onnx.load(path)
    told = {entry.key: json.loads(entry.value) for entry in graph.metadata_props}
    assert told['model_type'] == ('Detector' if task == 'detection' else 'Segmentor')
    assert told['class_names'] == {'0': 'a', '1': 'b', '2': 'water'}
    assert (told['tile_size'], told['resolution']) == (64, 25.0)
    assert OnnxModel(path, 'cpu').lowest_score == (0.3 if task == 'detection' else 0)
    assert (told['standardization_mean'], told['standardization_std']) == ([0, 0, 0], [1, 1, 1])
    shapes = [[d.dim_value for d in v.type.tensor_type.shape.dim] for v in (*graph.graph.input, *graph.graph.output)]
    assert shapes == [[1, 3, 64, 64], [1, 40, 8] if task == 'detection' else [1, 3, 64, 64]]
    if task == 'detection':
        assert told['det_type'] == 'YOLO_v5_or_v7_default'


def test_half_precision_is_half_the_file(exported, tmp_path):
    _, checkpoint, path = exported
    made = export_onnx(checkpoint, tmp_path / 'half.onnx', fp16=True)
    assert made.nbytes < 0.75 * path.stat().st_size and made.error < 2e-2
    assert str(Path(torch.__file__).parent).encode() not in path.read_bytes()  # paths of this machine


def test_a_network_at_another_scale_than_the_picture(tmp_path):
    """Trained on images of 64 pixels that were resized to 96."""
    checkpoint = write_model(tmp_path / 'model.pth', 'segmentation', METHODS['lst'], resize=96)
    made = export_onnx(checkpoint, tmp_path / 'model.onnx')
    assert made.side == 96
    tile = picture(64, 64)
    wanted, found = Model(checkpoint, None, 'cpu').mask(tile), OnnxModel(tmp_path / 'model.onnx', 'cpu').mask(tile)
    assert wanted.shape == found.shape == (64, 64) and (wanted != found).mean() < 1e-3


def test_suppression_is_that_of_mmcv():
    from mmcv.ops import nms

    random = torch.Generator().manual_seed(0)
    low = torch.rand(60, 2, generator=random) * 20
    boxes, scores = torch.cat([low, low + 10], 1), torch.rand(60, generator=random)
    kept = nms(boxes, scores, 0.5)[1]
    places = suppress(boxes, scores, 0.5, 40)
    assert 3 < len(kept) < 40
    assert places.tolist() == kept.tolist() + [60] * (40 - len(kept))
    assert (suppress(boxes, torch.zeros(60), 0.5, 4) == 60).all()


def test_what_cannot_be_exported_is_said(exported, tmp_path, capsys):
    task, checkpoint, path = exported

    def refusal(*arguments):
        with pytest.raises(SystemExit) as end:
            main([*map(str, arguments)])
        return str(end.value)

    assert 'add --onnx, or leave it out' in refusal('export', checkpoint, '--tile', 64)
    assert 'name a file of its own' in refusal('export', checkpoint, '--onnx', '--out', checkpoint)
    trees.write(tmp_path / 'x.png', picture(64, 64))
    assert f'{path} takes tiles of 64 pixels' in refusal('predict', path, tmp_path / 'x.png', '--tile', 96)
    foreign = onnx.load(path)
    del foreign.metadata_props[:]
    onnx.save(foreign, tmp_path / 'foreign.onnx')
    assert 'mmest export --onnx did not write it' in refusal('predict', tmp_path / 'foreign.onnx', tmp_path / 'x.png')
    (tmp_path / 'broken.onnx').write_bytes(b'broken')
    assert 'is no ONNX graph' in refusal('predict', tmp_path / 'broken.onnx', tmp_path / 'x.png')
    missing = tmp_path / 'missing.onnx'
    assert f'There is no ONNX graph "{missing}".' in refusal('predict', missing, tmp_path / 'x.png')


def test_without_the_packages_a_sentence_names_them(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ValueError, match='need onnxruntime, which is not installed: pip install onnx'):
        OnnxModel(exported[2], 'cpu')
    with pytest.raises(ValueError, match='need onnxruntime'):
        export_onnx(exported[1], tmp_path / 'x.onnx')
    assert not (tmp_path / 'x.onnx').exists()


@pytest.mark.parametrize(
    'name, said',
    [
        ('_base_/models/faster-rcnn_r50_fpn.py', 'FasterRCNN'),
        ('yolox/yolox_tiny_8xb8-300e_coco.py', 'YOLOX'),
        ('condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py', 'CondInst'),
    ],
)
def test_other_detectors_are_refused(name, said):
    init_default_scope('mmdet')
    cfg = Config.fromfile(Path(mmdet.__file__).parent / '.mim/configs' / name)
    cfg.model.backbone.init_cfg = None
    with pytest.raises(ValueError, match=f'{said} .* cannot become an ONNX graph'):
        Detector(MODELS.build(cfg.model), 64)


SLIDING = dict(test_cfg=dict(mode='slide', crop_size=(64, 64), stride=(32, 32)))


@pytest.mark.parametrize(
    'backbone, method, changes, said',
    [
        (VIT, 'frozen', {'decode_head.align_corners': True}, 'cannot be written as an ONNX graph'),  # asks for numbers
        (SWIN, 'frozen', {}, r'ShiftWindowMSA \("backbone.*"\) works in windows of side 4'),
        (VIT, 'lst', {}, r'WindowAttention \("backbone.method.*"\) works in windows of side 4'),
        (VIT, 'frozen', SLIDING, r'windows of \(64, 64\) pixels'),
    ],
    ids=['numbers', 'windowed backbone', 'windowed method', 'sliding'],
)
def test_what_has_a_size_of_its_own_is_refused(tmp_path, backbone, method, changes, said):
    checkpoint = write_model(
        tmp_path / 'model.pth', 'segmentation', METHODS[method], backbone=backbone, changes=changes
    )
    with pytest.raises(ValueError, match=f'{said}(.|\n)*leave --dynamic out'):
        export_onnx(checkpoint, tmp_path / 'model.onnx', dynamic=True)
    assert not (tmp_path / 'model.onnx').exists()


def test_a_head_with_centerness_and_without_anchors():
    """Scores are products there, and a level has fewer places than are asked for."""
    init_default_scope('mmdet')
    cfg = Config.fromfile(Path(mmdet.__file__).parent / '.mim/configs/fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py')
    cfg.model.backbone.update(depth=18, init_cfg=None)
    cfg.model.neck.update(in_channels=[64, 128, 256, 512], out_channels=64)
    cfg.model.bbox_head.update(in_channels=64, feat_channels=64, stacked_convs=1, num_classes=3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS.build(cfg.model).eval()
    model.bbox_head.test_cfg.update(score_thr=0.001, max_per_img=20)
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    prepared = model.data_preprocessor(dict(inputs=[(picture[0].flip(0) * 255)], data_samples=None))['inputs']
    sample = DetDataSample(metainfo=dict(img_shape=(64, 64), scale_factor=(1.0, 1.0)))
    with torch.no_grad():
        wanted = model.predict(prepared, [sample])[0].pred_instances
        rows = Detector(model, 64)(picture)[0]
    assert len(wanted) == 20
    np.testing.assert_allclose(rows[:, 4], wanted.scores, atol=1e-6)
    np.testing.assert_allclose(rows[:, :2] - rows[:, 2:4] / 2, wanted.bboxes[:, :2], atol=1e-3)
    assert (rows[:, 5:].argmax(1) == wanted.labels).all()
