"""Tiny backbones of several kinds, and a model and data that train in seconds."""

import copy
import inspect
from pathlib import Path

import mmdet.models  # noqa: F401
import mmseg.models  # noqa: F401
import numpy as np
import small_backbones  # noqa: F401
import torch
import torch.nn.functional as F
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.utils import ManagerMixin
from torch import nn
from torch.utils.data import Dataset

from mmest import TUNINGS
from mmest.benchmark.families.members import hrnet_stage
from mmest.configs import available_tunings, load_tuning

# Small values for arguments that many methods have.
SMALL = dict(rank=2, hidden=4, width=8, window=4)


def small_methods() -> dict[str, dict]:
    """Every method that configs/_base_/tunings names, at a size for tiny backbones: a new method needs no line here."""
    methods = {}
    for name in available_tunings():
        method = TUNINGS.get(load_tuning(name).type)
        takes = inspect.signature(method).parameters
        methods[name] = dict(type=method.__name__, **{key: value for key, value in SMALL.items() if key in takes})
    return methods


METHODS = small_methods()
SIDE = tuple(name for name, cfg in METHODS.items() if TUNINGS.get(cfg['type']).beside)

# With drop path, BatchNorm and class tokens among them: what breaks a backbone that is only half frozen.
BACKBONES = {
    'swin': dict(
        type='mmdet.SwinTransformer',
        embed_dims=16,
        depths=(2, 1, 1, 1),
        num_heads=(1, 2, 2, 4),
        window_size=4,
        drop_path_rate=0.3,
    ),
    'swin_mmseg': dict(
        type='mmseg.SwinTransformer',
        embed_dims=16,
        depths=(1, 1, 2, 1),
        num_heads=(1, 2, 2, 4),
        window_size=4,
        drop_path_rate=0.3,
    ),
    'resnet': dict(type='SmallResNet', depth=50, base_channels=8, norm_eval=False),
    'vit': dict(
        type='mmseg.VisionTransformer',
        img_size=64,
        embed_dims=32,
        num_layers=4,
        num_heads=2,
        out_indices=(1, 3),
        final_norm=True,
        drop_path_rate=0.3,
        drop_rate=0.1,
    ),
    'pvt': dict(type='mmdet.PyramidVisionTransformerV2', embed_dims=8, num_layers=[1, 1, 2, 1]),
}

# Of Swin, for tests that look into its stages.
TWO_A_STAGE = dict(depths=(2, 2, 2, 2))

# With a block of each kind, and few stages, for torch.compile, whose time grows with the number of both.
SHALLOW = dict(
    swin=dict(depths=(2, 1), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1)),
    swin_mmseg=dict(depths=(2, 1), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1)),
    resnet=dict(depth=18, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1)),
    vit=dict(num_layers=2, out_indices=(0, 1)),
    pvt=dict(num_layers=[1, 1, 1, 1]),
)

CONVNEXT, POST_NORM = dict(type='SmallConvNeXt'), dict(type='PostNormViT')
# Its attention uses the weight of a layer that it never calls.
HRNET = dict(
    type='HRNet',
    extra=dict(
        stage1=hrnet_stage(1, (8,), 'BOTTLENECK'),
        stage2=hrnet_stage(1, (8, 16)),
        stage3=hrnet_stage(2, (8, 16, 24)),
        stage4=hrnet_stage(1, (8, 16, 24, 40)),
    ),
)
BEIT = dict(type='mmseg.BEiT', img_size=64, embed_dims=32, num_layers=2, num_heads=2, out_indices=(0, 1))
_TWO_STAGES = dict(
    depth=50, base_channels=8, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1), norm_eval=False
)


def _plugin(kind: str, behind: int, **arguments) -> list[dict]:
    return [dict(cfg=dict(type=kind, **arguments), stages=(False, True), position=f'after_conv{behind}')]


# ConvNets with a softmax in their blocks; in those of the second stage alone, where it is a plugin.
GATED = dict(
    resnest=dict(type='mmdet.ResNeSt', stem_channels=8, reduction_factor=4, **_TWO_STAGES),
    gcnet=dict(type='mmdet.ResNet', plugins=_plugin('ContextBlock', 3, ratio=1 / 4), **_TWO_STAGES),
    non_local=dict(type='mmdet.ResNet', plugins=_plugin('NonLocal2d', 2), **_TWO_STAGES),
)


def build(name: str, tuning: dict = None, checkpoint: str = None, **changes) -> nn.Module:
    """A backbone by itself, or wrapped if a tuning is given."""
    cfg = ConfigDict(
        copy.deepcopy(dict(BACKBONES, beit=BEIT, convnext=CONVNEXT, post_norm=POST_NORM, **GATED)[name]), **changes
    )
    if checkpoint:
        cfg['init_cfg'] = dict(type='Pretrained', checkpoint=str(checkpoint))
    return MODELS.build(cfg if tuning is None else dict(type='TunedBackbone', backbone=cfg, tuning=dict(tuning)))


def write_weights(name: str, folder: Path) -> Path:
    """Random weights, and BatchNorm statistics that fit them, as a pretrained file."""
    init_default_scope('mmdet')
    torch.manual_seed(1)
    backbone = build(name)
    for p in backbone.parameters():
        p.data.add_((torch.rand_like(p) - 0.5) * 0.05)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # so that one batch gives the statistics
    with torch.no_grad():
        backbone.train()
        backbone(image(batch=8))
    path = folder / f'{name}.pth'
    # mmdet's Swin takes only keys with this prefix.
    torch.save(dict(state_dict={f'backbone.{key}': value for key, value in backbone.state_dict().items()}), path)
    return path


def image(*size: int, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 3, *(size or (64, 64)), generator=torch.Generator().manual_seed(5))


def randomised(module: nn.Module) -> nn.Module:
    """A module with other weights than those that it starts with, zeros among them."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.3)
    return module.eval()


def images(x: torch.Tensor) -> torch.Tensor:
    """B×H×W×C as B×C×H×W."""
    return x.permute(0, 3, 1, 2)


@MODELS.register_module(force=True)
class ToyModel(BaseModel):
    """Any backbone, a 1×1 convolution per output as its head, dropout."""

    def __init__(self, backbone: dict, classes: int = 2) -> None:
        super().__init__()
        self.backbone = MODELS.build(backbone)
        with torch.no_grad():
            training = self.backbone.training
            self.backbone.eval()
            channels = [f.shape[1] for f in self.backbone(image(batch=1))]
            self.backbone.train(training)
        self.head = nn.ModuleList(nn.Conv2d(c, classes, 1) for c in channels)
        self.norm = nn.BatchNorm2d(classes)
        self.drop = nn.Dropout(0.2)

    def forward(self, inputs, target=None, mode='tensor'):
        features = self.backbone(inputs)
        size = inputs.shape[-2:]
        maps = [F.interpolate(h(f), size=size) for h, f in zip(self.head, features)]
        scores = self.drop(self.norm(sum(maps)))
        return dict(loss=F.cross_entropy(scores, target)) if mode == 'loss' else scores


@DATASETS.register_module(force=True)
class ToyData(Dataset):
    """Twelve noise images, jittered at random, and whether a pixel is bright."""

    metainfo = dict(classes=('dark', 'bright'), palette=[[0, 0, 0], [255, 255, 255]])

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> dict:
        x = np.random.RandomState(index).rand(3, 64, 64) + 0.1 * np.random.rand()
        x = torch.from_numpy(x.astype('float32'))
        return dict(inputs=x, target=(x[0] > 0.5).long())


def runner_cfg(name: str, tuning: dict, checkpoint, work_dir, epochs: int = 2, **changes) -> Config:
    """A training of the toy model by mmengine's Runner, three steps an epoch."""
    backbone = dict(copy.deepcopy(BACKBONES[name]), init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint)))
    cfg = Config(
        dict(
            default_scope='mmdet',
            work_dir=str(work_dir),
            experiment_name=str(work_dir),
            log_level='WARNING',
            randomness=dict(seed=3),
            model=dict(type='ToyModel', backbone=dict(type='TunedBackbone', backbone=backbone, tuning=dict(tuning))),
            train_dataloader=dict(
                batch_size=4,
                num_workers=0,
                dataset=dict(type='ToyData'),
                sampler=dict(type='DefaultSampler', shuffle=True),
                collate_fn=dict(type='default_collate'),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            optim_wrapper=dict(
                constructor='TrainableOptimWrapperConstructor',
                optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
                paramwise_cfg=dict(norm_decay_mult=0.0),
            ),
            param_scheduler=[dict(type='LinearLR', start_factor=0.5, by_epoch=True, begin=0, end=epochs)],
            default_hooks=dict(
                logger=dict(type='LoggerHook', interval=1),
                checkpoint=dict(type='CheckpointHook', interval=1, max_keep_ckpts=2),
            ),
            custom_hooks=[dict(type='ESTHook')],
        )
    )
    cfg.merge_from_dict(changes)
    return cfg


def forget_instances(kind: type = ManagerMixin) -> None:
    """Forget mmengine's global instances, as a new process would.

    Each class keeps its own by name, those of mmdet's and mmseg's visualizers among them.
    """
    kind._instance_dict.clear()
    for below in kind.__subclasses__():
        forget_instances(below)
