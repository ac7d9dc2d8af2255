"""A config's model under a method, and its optimizer, ready for a step that is measured."""

import copy
import io
from contextlib import redirect_stdout

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.checkpoints.named_pretrained import without_pretrained
from mmest.configs import explain_build_errors, set_tuning, tuned_backbone_of
from mmest.levers import configure, put_on
from mmest.measure.device import usable_device
from mmest.mixed_precision import operators_in_fp32
from mmest.random_numbers import untouched_random_numbers

_ADAMW = dict(type='AdamW', lr=1e-4, weight_decay=0.05)

#: Of the forward pass; the last two by torch's autocast, fp16 on CUDA alone.
PRECISIONS = ('fp32', 'fp16', 'bf16')


def check(cfg: Config, device: str, precision: str) -> None:
    tuned_backbone_of(cfg)
    usable_device(device)
    if precision == 'fp16' and device != 'cuda':
        raise ValueError('fp16 needs CUDA, as losses are scaled there alone. On the CPU take bf16, or leave it out.')
    if precision != 'fp32':
        operators_in_fp32()


def optim_config(cfg: Config, precision: str) -> dict:
    optim_cfg = copy.deepcopy(dict(cfg.get('optim_wrapper') or {}))
    optim_cfg.setdefault('optimizer', dict(_ADAMW))
    for key in ('loss_scale', 'dtype', 'use_fp64'):
        optim_cfg.pop(key, None)
    optim_cfg['type'] = 'OptimWrapper'
    if precision != 'fp32':
        optim_cfg['type'] = dict(fp16='AmpOptimWrapper', bf16='Bfloat16OptimWrapper')[precision]
    return optim_cfg


def with_method(cfg: Config, tuning: dict, memory: list[str] | None = None) -> Config:
    """A copy of a config under a method, with its levers on memory, or others, turned on."""
    cfg = copy.deepcopy(cfg)
    set_tuning(cfg, tuning)
    if memory is not None:
        cfg.memory = memory
    configure(cfg)
    return cfg


def prepare(
    cfg: Config, tuning: dict, size: tuple[int, int], device: str = 'cpu', precision: str = 'fp32'
) -> tuple[nn.Module, OptimWrapper]:
    """A model of the config under a method, with the levers of its ``memory``, from random weights, and its optimizer:
    ready for a synthetic batch.

    Images keep the size asked for: the data preprocessor's own crop size and batch augmentations are left out.

    Raises:
        ValueError: the config has no TunedBackbone, or cannot be built; the device is not there; fp16 is
            asked of a CPU; its ``memory`` names what there is not, or what does not suit the method.
    """
    check(cfg, device, precision)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    cfg = with_method(cfg, tuning)
    model_cfg = without_pretrained(cfg.model)
    preprocessor = model_cfg.get('data_preprocessor') or {}
    preprocessor.pop('batch_augments', None)
    if preprocessor.get('size'):
        preprocessor['size'] = size
    with untouched_random_numbers():
        torch.default_generator.manual_seed(0)
        with explain_build_errors(cfg):
            model = MODELS.build(model_cfg)
        # Some print that they have no pretrained weights, which here is meant.
        with redirect_stdout(io.StringIO()):
            model.init_weights()
    for _, tuned in tuned_backbones(model):
        tuned.settle()  # before what is there is labelled
    put_on(model, cfg.get('memory') or [])
    model.to(device)
    return model, build_optim_wrapper(model, optim_config(cfg, precision))
