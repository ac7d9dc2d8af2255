"""A frozen backbone does not train with a random layer that its maps depend on."""

import copy

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner
from small_backbones import SmallConvNeXt
from torch import nn
from toy import METHODS, build, runner_cfg

import mmest
from mmest.checkpoints.digests import digests
from mmest.engine.launch import check_backbone

STEMS = dict(resnet='conv1.weight', pvt='layers.0.0.projection.weight')


@MODELS.register_module(force=True)
class ConvNeXtWithMore(SmallConvNeXt):
    """With a classifier that no map depends on, and a branch that ends in a layer of zeros."""

    def __init__(self, zeros: bool = True, init_cfg: dict | None = None) -> None:
        super().__init__()
        self.init_cfg = init_cfg
        self.classifier = nn.Linear(16, 3)
        self.inner, self.outer = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        if zeros:
            nn.init.zeros_(self.outer.weight)

    def forward(self, x):
        fine, coarse = super().forward(x)
        return fine + self.outer(self.inner(fine)), coarse


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A file of each backbone for images of three channels, whose names are the backbone's own."""
    folder = tmp_path_factory.mktemp('files')
    for kind in STEMS:
        torch.save(build(kind).state_dict(), folder / f'{kind}.pth')
    return {kind: folder / f'{kind}.pth' for kind in STEMS}


def more(tmp_path, method='EST', **changes):
    state = SmallConvNeXt().state_dict()
    torch.save(state, tmp_path / 'plain.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'plain.pth'))
    tuned = mmest.TunedBackbone(dict(type='ConvNeXtWithMore', init_cfg=init_cfg, **changes), dict(type=method))
    tuned.load_backbone()
    return tuned


@pytest.mark.parametrize('kind', STEMS)
@pytest.mark.parametrize('method', ['est', 'lora', 'partial'])
def test_a_stem_for_other_images_is_refused(kind, method, files):
    tuned = build(kind, METHODS[method], files[kind], in_channels=4)
    tuned.load_backbone()
    before = {name: value.clone() for name, value in tuned.state_dict().items()}
    modes = [module.training for module in tuned.modules()]
    with pytest.raises(ValueError, match=f'"{STEMS[kind]}" of .* is frozen by .* and random: .*{kind}.pth does not'):
        tuned.refuse_random_weights()
    assert digests(tuned.state_dict().items()) == digests(before.items())
    assert modes == [module.training for module in tuned.modules()]
    tuned.allow_random = True
    tuned.refuse_random_weights()


@pytest.mark.parametrize('dtype', ['bf16', 'int8'])
def test_a_stem_that_is_rounded_is_refused_too(dtype, files):
    cfg = dict(type='SmallResNet', depth=50, base_channels=8, in_channels=4)
    cfg['init_cfg'] = dict(type='Pretrained', checkpoint=str(files['resnet']))
    tuned = mmest.TunedBackbone(cfg, METHODS['est'], frozen_dtype=dtype)
    tuned.load_backbone()
    tuned.settle()
    with pytest.raises(ValueError, match='"conv1.weight" of ResNet is frozen by EST and random'):
        tuned.refuse_random_weights()


def test_a_stem_that_trains_may_be_random(files):
    tuned = build('resnet', METHODS['full'], files['resnet'], in_channels=4)
    tuned.load_backbone()
    tuned.refuse_random_weights()


@pytest.mark.parametrize('part', ['relative_position_bias_table', 'norm', 'relative_position_index'])
def test_what_files_may_lack(part, weights, tmp_path):
    state = {key: value for key, value in torch.load(weights['swin'])['state_dict'].items() if part not in key}
    assert len(state) < len(torch.load(weights['swin'])['state_dict'])
    torch.save(dict(state_dict=state), tmp_path / 'less.pth')
    tuned = build('swin', METHODS['est'], tmp_path / 'less.pth')
    for table in (p for name, p in tuned.named_parameters() if 'bias_table' in name):
        nn.init.normal_(table)
    tuned.load_backbone()
    tuned.refuse_random_weights()


@pytest.mark.parametrize('method', ['EST', 'LoRA', 'Frozen'])
def test_layers_without_effect_may_be_random(method, tmp_path):
    more(tmp_path, method).refuse_random_weights()
    with pytest.raises(ValueError, match=r'"inner.weight" of ConvNeXtWithMore .*plain.pth does not .*\(2, 8, 1, 1\)'):
        more(tmp_path, method, zeros=False).refuse_random_weights()


def test_it_is_said_before_the_runner_is_built_and_by_the_guard(files, tmp_path):
    cfg = runner_cfg('resnet', METHODS['est'], files['resnet'], tmp_path, epochs=1)
    cfg.model.backbone.backbone.in_channels = 4
    with pytest.raises(ValueError, match='"conv1.weight" of ResNet is frozen by EST and random'):
        check_backbone(cfg)
    tuned = mmest.TunedBackbone(cfg.model.backbone.backbone, METHODS['est'])
    brought = tuned.backbone.state_dict()
    torch.save(dict(state_dict={f'backbone.{k}': v for k, v in brought.items()}), tmp_path / 'detector.pth')
    cfg.load_from = str(tmp_path / 'detector.pth')
    check_backbone(cfg)
    model = mmest.TunedBackbone(copy.deepcopy(cfg.model.backbone.backbone), METHODS['est'])
    model.init_weights()
    model.load_state_dict({f'backbone.{k}': v for k, v in brought.items()}, strict=False)
    model.refuse_random_weights()


class WiderStem(mmest.ESTHook):
    """Before anything is looked at, the stem is as if the file had lacked it."""

    def before_train(self, runner):
        runner.model.backbone._given.discard('conv1.weight')
        super().before_train(runner)


def test_the_guard_looks_too(weights, tmp_path):
    cfg = runner_cfg('resnet', METHODS['est'], weights['resnet'], tmp_path, epochs=1, custom_hooks=[])
    runner = Runner.from_cfg(cfg)
    runner.register_hook(WiderStem())
    with pytest.raises(ValueError, match='"conv1.weight" of ResNet is frozen by EST and random'):
        runner.train()


def test_a_state_dict_without_a_layer_is_no_better_than_such_a_file(weights):
    state = {f'backbone.{key}': value for key, value in build('resnet').state_dict().items() if key != 'conv1.weight'}
    tuned = build('resnet', METHODS['est'])
    tuned.load_state_dict(state, strict=False)
    with pytest.raises(ValueError, match='"conv1.weight" of ResNet is frozen by EST and random: load_from does not'):
        tuned.refuse_random_weights()
