"""Prediction shows RGB: what was trained on something else is refused, or its user is told."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from mmest.configs import configs_root
from mmest.prediction import loading
from mmest.prediction.loading import say_other_loader
from mmest.prediction.model import Model

TRANSFORMS = pytest.importorskip('mmseg.registry').TRANSFORMS
PLAIN = dict(type='LoadImageFromFile')


@TRANSFORMS.register_module(force=True)
class FirstBand:
    """As mmseg's users write their own."""

    def __call__(self, results):
        return dict(results, img=results['img'][..., :1])


def write_segmentor(path, channels, *steps, load=PLAIN, tuned=True):
    """A checkpoint of a small segmentor whose images have some channels."""
    cfg = Config.fromfile(configs_root() / '_base_/models/light-fcn.py')
    cfg.default_scope = 'mmseg'
    resnet = dict(type='ResNet', depth=18, base_channels=8, in_channels=channels)
    tuning = dict(type='TunedBackbone', tuning=dict(type='Full'), backbone=resnet)
    cfg.model.backbone = tuning if tuned else resnet
    cfg.model.decode_head.update(in_channels=64, in_index=-1, channels=8, num_classes=3)
    cfg.model.data_preprocessor.update(mean=[100.0] * channels, std=[50.0] * channels, size=(64, 64))
    cfg.custom_imports = dict(imports=['mmest'], allow_failed_imports=False)
    pipeline = [load, dict(type='Resize', scale=(64, 64)), *steps, dict(type='PackSegInputs')]
    cfg.train_dataloader = cfg.test_dataloader = dict(dataset=dict(type='BaseSegDataset', pipeline=pipeline))
    init_default_scope('mmseg')
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=('a', 'b', 'c'), image_size=[64, 64]))
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(), meta=meta), path)
    return path


@pytest.mark.parametrize('tuned', [True, False])
@pytest.mark.parametrize('channels, said', [(4, '4 channels'), (1, '1 channel'), (2, '2 channels')])
def test_a_model_of_other_channels_is_refused(channels, said, tuned, tmp_path):
    path = write_segmentor(tmp_path / 'x.pth', channels, tuned=tuned)
    with pytest.raises(ValueError, match=f'x.pth takes images of {said}, but prediction reads RGB.*mmest test CONFIG'):
        Model(path, None, 'cpu')


def test_one_whose_pipeline_makes_its_channels_of_rgb_predicts(tmp_path):
    model = Model(write_segmentor(tmp_path / 'x.pth', 1, dict(type='FirstBand')), None, 'cpu')
    assert model.mask(np.full((64, 64, 3), 9, np.uint8)).shape == (64, 64)


@pytest.mark.parametrize(
    'load, said',
    [
        (dict(type='mmseg.LoadSingleRSImageFromFile'), 'LoadSingleRSImageFromFile'),
        (dict(type='LoadFalseColour'), 'LoadFalseColour'),
        (dict(PLAIN, color_type='unchanged'), "LoadImageFromFile with color_type='unchanged'"),
        (
            dict(PLAIN, imdecode_backend='tifffile', to_float32=True),
            "LoadImageFromFile with imdecode_backend='tifffile'",
        ),
        (PLAIN, None),
        (dict(type='LoadImage'), None),
        (dict(PLAIN, imdecode_backend='tifffile'), None),  # mmest's reader takes its place
        (dict(PLAIN, to_float32=True, imdecode_backend='pillow'), None),
        (dict(PLAIN, backend_args=dict(backend='http')), None),
    ],
)
def test_another_loader_of_the_training_is_said(load, said, monkeypatch):
    told = []
    monkeypatch.setattr(loading, 'print_log', lambda text, *_: told.append(text))
    steps = [load, dict(type='LoadAnnotations'), dict(type='LoadProposals'), dict(type='PackSegInputs')]
    inner = dict(type='BaseSegDataset', pipeline=steps)
    say_other_loader(Config(dict(train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=inner)))))
    assert [text.startswith(f'The training loads images by {said}, and prediction') for text in told] == [True] * bool(
        said
    )


def test_the_model_says_it(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(loading, 'print_log', lambda text, *_: told.append(text))
    Model(write_segmentor(tmp_path / 'x.pth', 3, load=dict(PLAIN, color_type='unchanged')), None, 'cpu')
    assert len(told) == 1
