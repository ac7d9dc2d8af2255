"""From a config file and the options of a command to a runner."""

import difflib
import importlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from mmest.utils import (
    available_tunings,
    configs_root,
    explain_build_errors,
    head_and_backbone,
    set_tuning,
    variable_behind,
)

_DISTRIBUTIONS = dict(mmdet='mmdet', mmseg='mmsegmentation', mmpretrain='mmpretrain torchvision')


def open_config(path: str) -> Config:
    """Read a config file.

    Raises:
        FileNotFoundError: there is no such file; near names are suggested.
        ValueError: it cannot be read.
    """
    if not Path(path).is_file():
        root = configs_root()
        known = {
            file.relative_to(root.parent).as_posix(): file
            for folder in ('detection', 'segmentation', 'demo')
            for file in (root / folder).rglob('*.py')
        }
        stems = {Path(name).stem: name for name in known}
        near = [stems[stem] for stem in difflib.get_close_matches(Path(path).stem, stems, n=3)]
        hint = f'Did you mean {" or ".join(near)}?' if near else f'Those of mmest are in {root}.'
        raise FileNotFoundError(f'There is no config "{path}". {hint}')
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is code of its author's: anything may go wrong in it
        raise ValueError(f'The config {path} cannot be read: {type(error).__name__}: {_reason(error)}') from error


def _reason(error: BaseException) -> str:
    """What went wrong. mmengine only says which of custom_imports failed; why is in the error before it."""
    while str(error).startswith('Failed to import') and error.__context__:
        error = error.__context__
    return str(error)


def read_config(path: str, options: dict | None = None, tuning: str | None = None) -> Config:
    """Read a config, swap its tuning method if one is named, and set single options last.

    Args:
        path: the config file.
        options: values by dotted key, as ``--cfg-options`` gives them.
        tuning: a file of ``configs/_base_/tunings``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read; it holds no model; the method is unknown or missing; an option does not fit; the
            framework it needs is not installed.
    """
    cfg = open_config(path)
    if tuning is not None:
        set_tuning(cfg, tuning)
    if options:
        set_options(cfg, options)
    if not isinstance(cfg.get('model'), dict):
        raise ValueError(
            f'The config {path} holds no model: it is a part that others build on (_base_). Those to train '
            f'are in {configs_root()}.'
        )
    backbone = cfg.model.get('backbone') or {}
    if backbone.get('type') == 'TunedBackbone' and not backbone.get('tuning'):
        raise ValueError(
            f'The config {path} names no tuning method. Pass --tuning NAME, one of '
            f'{", ".join(available_tunings())}, or set model.backbone.tuning in it.'
        )
    import_framework(cfg)
    return cfg


def set_options(cfg: Config, options: dict) -> None:
    """Set values by dotted key, in place.

    Raises:
        ValueError: one does not fit the config.
    """
    try:
        cfg.merge_from_dict(options)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f'The options {options} do not fit {cfg.filename}: {error}') from error


def check_parts(cfg: Config, names: Sequence[str]) -> None:
    """A config has the parts that a command needs.

    Raises:
        ValueError: some are missing.
    """
    missing = [name for name in names if not cfg.get(name)]
    if missing:
        raise ValueError(
            f'The config {cfg.filename} has no {", ".join(missing)}. Add a data set and a schedule, such as '
            'those of configs/_base_/datasets and configs/_base_/schedules, to its _base_.'
        )


def import_framework(cfg: Config) -> None:
    """Import the framework that a config is for, and the one that its backbone is from.

    Raises:
        ValueError: one is not installed.
    """
    backbone = (cfg.get('model', {}).get('backbone') or {}).get('backbone') or {}
    for scope in dict.fromkeys([cfg.get('default_scope', 'mmengine'), *str(backbone.get('type')).split('.')[:-1]]):
        _import(scope, cfg)


def _import(scope: str, cfg: Config) -> None:
    try:
        importlib.import_module(scope)
    except ImportError as error:
        raise ValueError(
            f'The config {cfg.filename or "of the checkpoint"} is for {scope}, which cannot be imported '
            f'({error}). Install it: pip install {_DISTRIBUTIONS.get(scope, scope)}'
        ) from error


def default_work_dir(config: str, tuning: str | None = None) -> Path:
    """``work_dirs/<dataset>_<config>``: the data set is the config's folder, the config ends with the method that
    runs.
    """
    stem = Path(config).stem
    if tuning is not None:
        stem = f'{head_and_backbone(stem)}_{tuning}'
    return Path('work_dirs') / f'{Path(config).absolute().parent.name}_{stem}'


def use_amp(cfg: Config) -> None:
    """Train in mixed precision.

    Raises:
        ValueError: there is no CUDA device.
    """
    if not torch.cuda.is_available():
        raise ValueError('--amp needs a CUDA device, and torch finds none. Leave it out on the CPU.')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def check_backbone(cfg: Config) -> None:
    """The backbone can be built with its method, and its pretrained file is there, or can be fetched, and fits.

    Said before the runner is built, whose log would bury it. Of the processes of torchrun only the first of a machine
    looks; the others wait for it where they meet.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it belongs to another backbone, or what reads it is not installed; the backbone or its method cannot
            be built.
    """
    outer = cfg.model.get('backbone') or {}
    source = (outer.get('backbone', {}).get('init_cfg') or {}).get('checkpoint')
    if not source or os.environ.get('LOCAL_RANK', '0') != '0':
        return
    if '://' not in source and not Path(source).is_file():
        variable = variable_behind(cfg, source)
        way = f'Set the environment variable {variable}, with which the path begins' if variable else 'Put it there'
        raise FileNotFoundError(
            f'The pretrained weights {Path(source).absolute()} are not there. {way}, or pass '
            '--cfg-options model.backbone.backbone.init_cfg.checkpoint=FILE.'
        )
    try:
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope')), explain_build_errors(cfg):
            MODELS.build(outer).load_backbone()
    except ImportError as error:
        raise ValueError(
            f'The pretrained weights {source} cannot be loaded: {error}. Install what is missing, or '
            'pass a file: --cfg-options model.backbone.backbone.init_cfg.checkpoint=FILE.'
        ) from error


def use_submission(cfg: Config, folder: Path) -> None:
    """Have testing run on the data that a server scores, and write the files for it.

    Raises:
        ValueError: the data set of the config has no server.
    """
    if not cfg.get('submission_dataloader'):
        raise ValueError(
            f'The config {cfg.filename} has no submission_dataloader: its data set is scored here, without '
            '--submission. Those of DOTA and LoveDA have one.'
        )
    cfg.test_dataloader, cfg.test_evaluator = cfg.submission_dataloader, cfg.submission_evaluator
    cfg.test_evaluator.submission = str(folder)


def default_launcher() -> str:
    """``pytorch`` under torchrun, which sets these variables; otherwise ``none``."""
    return 'pytorch' if {'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR'} <= os.environ.keys() else 'none'


def build_runner(cfg: Config, launcher: str) -> Runner:
    """The runner of a config. Under torchrun without CUDA, processes talk over gloo, and BatchNorm is that of each
    process, as torch synchronises it between CUDA devices only.

    Raises:
        ValueError: the config names a type that is not registered, or an argument that its class does not take.
    """
    cfg.launcher = launcher
    if launcher == 'pytorch' and not torch.cuda.is_available():
        # mmengine by itself would ask CUDA for a device, and bind the model to it.
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group('gloo')
        cfg.merge_from_dict(
            dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel', device_ids=None, broadcast_buffers=False))
        )
        _replace_sync_bn(cfg.model)
    with explain_build_errors(cfg):
        return Runner.from_cfg(cfg)


def _replace_sync_bn(part: Any) -> None:
    if isinstance(part, dict):
        if part.get('type') == 'SyncBN':
            part['type'] = 'BN'
        part = list(part.values())
    if isinstance(part, (list, tuple)):
        for inner in part:
            _replace_sync_bn(inner)
