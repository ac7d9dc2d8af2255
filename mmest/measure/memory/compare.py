"""The memory of one config under several tuning methods."""

import copy
import io
import platform
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib import metadata
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.checkpoints.pretrained import names_pretrained
from mmest.config_parts import parts_of
from mmest.configs import explain_build_errors, set_tuning, tuned_backbone_of
from mmest.frameworks import framework_of
from mmest.levers import configure, put_on
from mmest.measure.device import memory_shortage, usable_device
from mmest.measure.parameters import parameter_counts
from mmest.measure.synthetic_batch import BOXES_PER_IMAGE, synthetic_batch
from mmest.mixed_precision import operators_in_fp32
from mmest.random_numbers import untouched_random_numbers
from mmest.version import __version__

from .step import MemoryReport, measure_training_step
from .timeline import Timeline

_ADAMW = dict(type='AdamW', lr=1e-4, weight_decay=0.05)
_DISTRIBUTIONS = ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation')

#: Shares are of this method's peak.
FULL = 'full'
#: Of the forward pass; the last two by torch's autocast, fp16 on CUDA alone.
PRECISIONS = ('fp32', 'fp16', 'bf16')


def compare_tunings(
    cfg: Config,
    tunings: dict[str, dict],
    size: tuple[int, int],
    batch_size: int,
    device: str = 'cpu',
    precision: str = 'fp32',
    done: Callable[[str, MemoryReport, Timeline], Any] = lambda *_: None,
    memory: dict[str, list[str]] | None = None,
) -> dict:
    """Measure a training step of one config under each of several methods, on synthetic input.

    The models start from random weights: no file is read and nothing is downloaded. Images keep the size asked for: the
    data preprocessor's own crop size and batch augmentations are left out.

    Args:
        cfg: a config of mmdet or mmseg whose ``model.backbone`` is a ``TunedBackbone``. Its ``optim_wrapper`` is used,
            or AdamW, if there is none; its precision is not.
        tunings: names, and the configs of the methods.
        size: height and width of the images in pixels.
        batch_size: number of images.
        device: ``cpu`` or ``cuda``.
        precision: one of :data:`PRECISIONS`.
        done: called with the name of each method that has been measured, its report and its timeline.
        memory: levers on memory by the name of the method, in place of the config's own.

    Returns:
        The record that ``mmest memory`` writes; its docstring has the keys.

    Raises:
        ValueError: the config has no TunedBackbone; the device is not there, or too small; a CPU is asked for fp16.
    """
    _check(cfg, device, precision)
    rows = {}
    for name, tuning in tunings.items():
        own = with_method(cfg, tuning, None if memory is None else memory[name])
        try:
            report, timeline, parameters = _measure(own, tuning, size, batch_size, device, precision)
        except RuntimeError as error:
            if device != 'cuda' or memory_shortage(error) is None:
                raise
            raise ValueError(
                f'The method "{name}" does not fit into the memory of this GPU at batch {batch_size} and '
                f'{size[0]}×{size[1]}. Take a smaller batch or size, leave it out, or measure on the CPU.'
            ) from error
        levers = list(own.get('memory') or [])
        rows[name] = dict(tuning=dict(tuning), memory=levers, parameters=parameters, **report.to_dict())
        done(name, report, timeline)
    full = rows.get(FULL)
    for row in rows.values():
        row['share_of_full'] = row['peak'] / full['peak'] if full else None
    return dict(
        size=list(size),
        batch_size=batch_size,
        boxes_per_image=BOXES_PER_IMAGE if framework_of(cfg).detects else None,
        device=device,
        precision=precision,
        optimizer=optim_config(cfg, precision)['optimizer']['type'],
        versions=versions(),
        tunings=rows,
    )


def _check(cfg: Config, device: str, precision: str) -> None:
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
    _check(cfg, device, precision)
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


def _measure(
    cfg: Config, tuning: dict, size: tuple[int, int], batch_size: int, device: str, precision: str
) -> tuple[MemoryReport, Timeline, dict[str, int]]:
    model, optim_wrapper = prepare(cfg, tuning, size, device, precision)
    timeline = Timeline()
    report = measure_training_step(model, synthetic_batch(model, size, batch_size), optim_wrapper, timeline)
    return report, timeline, parameter_counts(model)


def without_pretrained(cfg: Any) -> Any:
    """``cfg`` without the files that weights would come from; it is changed in place."""
    for _, part in parts_of(cfg):
        if 'pretrained' in part:
            part['pretrained'] = None
        init = part.get('init_cfg')
        if isinstance(init, dict) and names_pretrained(init):
            part['init_cfg'] = None
        elif isinstance(init, (list, tuple)):
            part['init_cfg'] = [one for one in init if not names_pretrained(one)]
    return cfg


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """Versions of Python and of what a figure depends on; None for what is not installed."""
    return dict(
        python=platform.python_version(), mmest=__version__, **{name: _version(name) for name in _DISTRIBUTIONS}
    )
