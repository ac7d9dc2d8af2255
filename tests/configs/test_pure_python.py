"""Configs that import classes are read as those of names."""

import pprint
import sys
from pathlib import Path

import mmengine.registry
import pytest
import torch
import toy
from mmengine.config import Config
from mmengine.registry import Registry

from mmest.backbones.tuned_backbone import TunedBackbone
from mmest.configs import read_config
from mmest.configs.reading import config_from_text
from mmest.tuning.side.est import EST

PARTS = ('model', 'train_dataloader', 'val_dataloader', 'optim_wrapper', 'param_scheduler', 'default_hooks')


class _Class:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


def _with_classes(value, scope: str, found: dict[str, type]):
    """A config with the class of each ``type``, as its author would import it."""
    if isinstance(value, (list, tuple)):
        return [_with_classes(inner, scope, found) for inner in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _with_classes(inner, scope, found) for key, inner in value.items()}
    if isinstance(changed.get('type'), str):
        registries = [part for part in vars(mmengine.registry).values() if isinstance(part, Registry)]
        classes = [registry.children.get(scope, registry).get(changed['type']) for registry in registries]
        cls = next((cls for cls in classes if cls is not None), None)
        if cls is not None:
            found[cls.__name__] = cls
            changed['type'] = _Class(cls.__name__)
    return changed


def write_pure(names: Config, path: Path) -> Path:
    """The same config in pure Python style."""
    found: dict[str, type] = {}
    parts = {key: _with_classes(names.to_dict()[key], names.default_scope, found) for key in PARTS}
    imports = [f'from {cls.__module__} import {name}' for name, cls in found.items()]
    assert len(imports) > 20
    body = [f'{key} = {pprint.pformat(value)}' for key, value in parts.items()]
    path.write_text('\n'.join([*imports, *body, 'default_scope = None', '']))
    return path


def _lists(value):
    """Tuples as lists, as this test wrote them."""
    if isinstance(value, dict):
        return {key: _lists(inner) for key, inner in value.items()}
    return [_lists(inner) for inner in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize(
    ('name', 'tuning'),
    [
        ('detection/dior/faster-rcnn', 'est'),
        ('detection/dior/retinanet', 'lora'),
        ('segmentation/potsdam_six-classes/upernet', 'est'),
        ('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', 'est'),
        ('mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py', 'mona'),
    ],
)
def test_one_that_imports_classes_is_that_of_their_names(name, tuning, tmp_path):
    names = read_config(name)
    pure = write_pure(names, tmp_path / 'pure.py')
    read = read_config(str(pure))
    assert read.default_scope == names.default_scope
    for part in PARTS:
        assert _lists(read.to_dict()[part]) == _lists(names.to_dict()[part]), part
    # As mmengine writes it into work folders and checkpoints: paths as text.
    Config.fromfile(pure).dump(tmp_path / 'dumped.py')
    assert "'mmengine." in (tmp_path / 'dumped.py').read_text()
    for dumped in (read_config(str(tmp_path / 'dumped.py')), config_from_text((tmp_path / 'dumped.py').read_text())):
        assert dumped.to_dict() == read.to_dict()
    tuned = read_config(str(pure), tuning=tuning)
    assert tuned.model.backbone.type == 'TunedBackbone'


def test_the_rest_keeps_its_text(tmp_path):
    pure = tmp_path / 'pure.py'
    pure.write_text(
        'from mmdet.models import RetinaNet, SwinTransformer\n'
        'from mmcv.ops import nms\n'
        'from torch.nn import BatchNorm2d, SyncBatchNorm\n'
        'from torchdata_of_mine import Own\n'
        'model = dict(type=RetinaNet, backbone=dict(type=SwinTransformer, norm_cfg=dict(type=SyncBatchNorm)),\n'
        '    neck=dict(type=Own, norm_cfg=dict(type=BatchNorm2d)), test_cfg=dict(nms=dict(type=nms)))\n'
        "name, file = 'mmdet.notes', 'scenes.train.tif'\n"
    )
    (tmp_path / 'torchdata_of_mine.py').write_text('class Own:\n    pass\n')
    sys.path.insert(0, str(tmp_path))
    try:
        cfg = read_config(str(pure))
    finally:
        sys.path.remove(str(tmp_path))
    assert cfg.model.backbone == dict(type='SwinTransformer', norm_cfg=dict(type='SyncBN'))
    assert cfg.model.neck == dict(type='torchdata_of_mine.Own', norm_cfg=dict(type='BN'))
    assert cfg.model.test_cfg.nms.type == 'nms'
    assert (cfg.name, cfg.file) == ('mmdet.notes', 'scenes.train.tif')


@pytest.mark.parametrize('kind', [EST, 'mmest.tuning.side.est.EST', 'EST'])
def test_a_method_may_be_its_class(kind):
    tuned = TunedBackbone(dict(toy.BACKBONES['swin']), dict(type=kind, reduction=2))
    assert type(tuned.method) is EST
    assert tuned.arguments['reduction'] == 2 and tuned.arguments['taps'] == 1
    with pytest.raises(ValueError, match='tuning should be dict'):
        TunedBackbone(dict(toy.BACKBONES['swin']), dict(type=torch.nn.Linear))
