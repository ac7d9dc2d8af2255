"""Several models on one picture give what each gives by itself, over one frozen forward pass."""

import copy
import filecmp
import re

import cv2
import numpy as np
import official_trees as trees
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from toy import METHODS

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.cli import main
from mmest.configs import configs_root
from mmest.prediction import together
from mmest.prediction.model import Model
from mmest.tiles.parts import tiles_with_parts

pytest.importorskip('mmseg')

SEE_BOXES = {'planes', 'ships', 'whole'}
SWIN = dict(embed_dims=16, depths=(2, 1), num_heads=(1, 2), window_size=4, out_indices=(0, 1))


def write(path, task, method, backbone_seed=0, **changes):
    """A model whose frozen backbone is that of the seed; all else is its own."""
    framework = 'mmdet' if task == 'detection' else 'mmseg'
    if task == 'detection':
        cfg = Config.fromfile(configs_root() / '_base_/models/light-retinanet.py')
        cfg.model.neck = dict(cfg.fpn, in_channels=[16, 32], num_outs=4, add_extra_convs='on_output')
        cfg.model.bbox_head.update(num_classes=2, stacked_convs=1)
    else:
        cfg = Config.fromfile(configs_root() / '_base_/models/light-segformer.py')
        cfg.model.decode_head.update(in_channels=[16, 32], in_index=[0, 1], channels=32, num_classes=2)
        cfg.model.data_preprocessor.size = (64, 64)
    cfg.default_scope = framework
    # mmdet's class in both: an mmseg model may have it too.
    backbone = dict(copy.deepcopy(SWIN), type='mmdet.SwinTransformer', **changes)
    cfg.model.backbone = dict(type='TunedBackbone', tuning=METHODS[method], backbone=backbone)
    cfg.custom_imports = dict(imports=['mmest'], allow_failed_imports=False)
    steps = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 64), keep_ratio=True)]
    steps.append(dict(type='PackDetInputs' if task == 'detection' else 'PackSegInputs'))
    kind = 'CocoDataset' if task == 'detection' else 'BaseSegDataset'
    cfg.train_dataloader = cfg.test_dataloader = dict(dataset=dict(type=kind, pipeline=steps))
    init_default_scope(framework)
    with torch.random.fork_rng():
        torch.manual_seed(sum(map(ord, path.stem)))
        model = MODELS.build(cfg.model)
        for name, p in model.named_parameters():
            if p.requires_grad and 'retina_cls.bias' not in name:
                p.data += 0.1 * torch.randn_like(p)
        torch.manual_seed(backbone_seed)
        for _, tuned in tuned_backbones(model):
            for p in tuned.backbone.parameters():
                p.data = torch.randn_like(p) * 0.2
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=('a', 'b'), image_size=[64, 64]))
    torch.save(dict(state_dict=model.state_dict(), meta=meta), path)
    return path


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """Over one backbone: two that see boxes and ground by taps, one that sees boxes by its maps; and three more."""
    folder = tmp_path_factory.mktemp('models')
    return {
        path.stem: path
        for path in (
            write(folder / 'planes.pth', 'detection', 'est'),
            write(folder / 'roads.pth', 'segmentation', 'lst'),
            write(folder / 'ships.pth', 'detection', 'frozen'),
            write(folder / 'other.pth', 'segmentation', 'est', backbone_seed=1),
            write(folder / 'narrow.pth', 'segmentation', 'est', qk_scale=0.1),
            write(folder / 'whole.pth', 'detection', 'lora'),
        )
    }


@pytest.fixture
def scene(tmp_path):
    coarse = np.random.default_rng(1).integers(0, 256, (12, 20, 3), dtype=np.uint8)
    trees.write(tmp_path / 'scene.png', cv2.resize(coarse, (160, 96), interpolation=cv2.INTER_CUBIC))
    return tmp_path / 'scene.png'


def predict(models, names, scene, out, *more):
    which = [part for name in names for part in ('--model', str(models[name]))]
    all_boxes = ['--score', '0'] if SEE_BOXES & set(names) else []
    main(['predict', *which, str(scene), '--out', str(out), *all_boxes, *more])


def test_results_are_those_of_each_alone_and_the_frozen_part_runs_once(models, scene, tmp_path, monkeypatch, capsys):
    made = []

    class Watched(together.SharedBackbone):
        def __init__(self, tuned):
            super().__init__(tuned)
            made.append(self)
            self.calls = 0
            tuned[0].backbone.register_forward_hook(lambda *_: setattr(self, 'calls', self.calls + 1))

    monkeypatch.setattr(together, 'SharedBackbone', Watched)
    names = ('planes', 'roads', 'ships')
    predict(models, names, scene, tmp_path / 'both')
    said = capsys.readouterr().out
    assert 'planes and roads and ships share one forward pass' in said
    assert re.search(r'Time: planes [\d.]+ s; roads [\d.]+ s, [\d.]+ of that; ships [\d.]+ s, [\d.]+ of that\.\n', said)
    assert [(one.forwards, one.calls) for one in made] == [(len(list(tiles_with_parts(160, 96, 64, 12))),) * 2]
    for name in names:
        predict(models, [name], scene, tmp_path / 'alone' / name)
        alone, both = tmp_path / 'alone' / name, tmp_path / 'both' / name
        files = sorted(path.name for path in alone.iterdir())
        assert files == sorted(path.name for path in both.iterdir()) and len(files) > 1
        assert filecmp.cmpfiles(alone, both, files, shallow=False)[0] == files
    assert 'share' not in capsys.readouterr().out


@pytest.mark.parametrize('name', ['other', 'narrow', 'whole'])
def test_what_has_another_backbone_runs_by_itself(models, scene, tmp_path, capsys, name):
    predict(models, ['planes', name], scene, tmp_path / 'out')
    said = capsys.readouterr().out
    assert f'planes (tiles of 64) runs by itself; {name} (tiles of 64) runs by itself' in said
    assert re.search(rf'Time: planes [\d.]+ s; {name} [\d.]+ s\.\n', said)  # two networks: no share of one another
    predict(models, [name], scene, tmp_path / 'alone')
    files = [path.name for path in (tmp_path / 'alone').iterdir()]
    assert filecmp.cmpfiles(tmp_path / 'alone', tmp_path / 'out' / name, files, shallow=False)[0] == files


def test_models_of_other_tiles_share_where_a_tile_is_named(models):
    loaded = [Model(models[name], None, 'cpu') for name in ('planes', 'roads')]
    assert together.share_backbones(loaded, [64, 96]) == [[0], [1]]
    assert together.share_backbones(loaded, [96, 96]) == [[0, 1]]
    backbones = [tuned_backbones(model.network)[0][1].backbone for model in loaded]
    assert backbones[0] is backbones[1]


def test_another_picture_is_read_anew(models):
    loaded = [Model(models[name], None, 'cpu') for name in ('planes', 'roads')]
    alone = Model(models['roads'], None, 'cpu')
    shared = together.SharedBackbone([tuned_backbones(model.network)[0][1] for model in loaded])
    first, second = (np.random.default_rng(i).integers(0, 256, (64, 64, 3), dtype=np.uint8) for i in (1, 2))
    loaded[0].detect(first)
    assert (loaded[1].mask(second) == alone.mask(second)).all()
    assert (loaded[1].mask(second) == alone.mask(second)).all()  # it has had it, so it is read again
    assert shared.forwards == 3


def test_results_of_several_models_need_names(models, scene, tmp_path):
    with pytest.raises(SystemExit, match='two files of one name'):
        predict(models, ['planes', 'planes'], scene, tmp_path)
    with pytest.raises(SystemExit, match='at least one image'):
        main(['predict', str(scene)])
