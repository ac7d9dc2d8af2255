"""From a config and the options of a command to a runner."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_rank, init_dist
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner

from mmest.checkpoints.named_pretrained import names_pretrained
from mmest.config_parts import parts_of
from mmest.configs import check_parts, explain_build_errors, forget_parts, variable_behind
from mmest.datasets.checks import check_data
from mmest.datasets.class_weights import count_ignored_pixels
from mmest.datasets.ignored_boxes import pass_over_ignored_boxes
from mmest.engine.features.hook import use_feature_cache
from mmest.engine.image_size import ImageSizeHook
from mmest.engine.processes import TunedRunner
from mmest.engine.reader import use_reader_of
from mmest.engine.resume import check_load_from
from mmest.engine.trained_classes import TrainedClassesHook
from mmest.frameworks import framework_of
from mmest.levers import configure


def default_work_dir(cfg: Config) -> Path:
    """``work_dirs/<dataset>_<config>``: the data set is the config's folder, the config ends with the backbone and the
    method that run.
    """
    path = Path(cfg.filename).absolute()
    return Path('work_dirs') / f'{path.parent.name}_{path.stem}'


def use_amp(cfg: Config) -> None:
    """Train in mixed precision: float16 on CUDA, bfloat16 on a CPU."""
    if torch.cuda.is_available():
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    else:
        cfg.optim_wrapper.type = 'Bfloat16OptimWrapper'
        for name in ('loss_scale', 'dtype'):  # of a config that was for CUDA
            cfg.optim_wrapper.pop(name, None)


#: Where curves can be sent, by the name of the option.
CURVES = dict(tensorboard='TensorboardVisBackend', wandb='WandbVisBackend')


def send_curves(cfg: Config, to: Sequence[str]) -> None:
    """Send losses, rates and metrics to other places too, by keys of :data:`CURVES`; a config without a visualizer gets
    that of its framework.
    """
    visualizer = cfg.get('visualizer') or dict(type=framework_of(cfg).visualizer, name='visualizer')
    backends = visualizer.get('vis_backends') or [dict(type='LocalVisBackend')]
    known = [backend['type'] for backend in backends]
    backends = [*backends, *(dict(type=CURVES[name]) for name in to if CURVES[name] not in known)]
    cfg.visualizer = dict(visualizer, vis_backends=backends)


def check_backbone(cfg: Config) -> None:
    """The backbone can be built with its method, and its pretrained file is there, or can be fetched, and fits.

    Said before the runner is built, whose log would bury it. Of the processes of torchrun only the first of a machine
    looks; the others wait for it where they meet.

    Raises:
        FileNotFoundError: the file is not there.
        ValueError: it belongs to another backbone or lacks one of its layers, or what reads it is not installed; the
            backbone or its method cannot be built.
    """
    outer = cfg.model.get('backbone') or {}
    named = names_pretrained(outer.get('backbone', {}).get('init_cfg'))
    source = named['checkpoint'] if named else None
    if not source or os.environ.get('LOCAL_RANK', '0') != '0':
        return
    if '://' not in source and not Path(source).is_file():
        variable = variable_behind(cfg, source)
        way = f'Set the environment variable {variable}, with which the path begins' if variable else 'Put it there'
        raise FileNotFoundError(
            f'The pretrained weights {Path(source).absolute()} are not there. {way}, or pass '
            '--weights FILE (--cfg-options model.backbone.backbone.init_cfg.checkpoint=FILE).'
        )
    try:
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope')), explain_build_errors(cfg):
            tuned = MODELS.build(outer)
            tuned.load_backbone()
            if not cfg.get('load_from'):  # which may bring what the file lacks
                tuned.refuse_random_weights()
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


def meet_processes(cfg: Config, launcher: str) -> None:
    """Have several processes talk before a runner is built: as its ``env_cfg`` says, each with the GPU of its number,
    or over gloo under torchrun without CUDA. Where they talk already, nothing is done.
    """
    if torch.distributed.is_initialized():
        return
    if launcher == 'pytorch' and not torch.cuda.is_available():
        # mmengine by itself would ask CUDA for a device.
        torch.distributed.init_process_group('gloo')
    else:
        init_dist(launcher, **((cfg.get('env_cfg') or {}).get('dist_cfg') or {}))


def all_or_none(cfg: Config, launcher: str | None, look: Callable[[], None]) -> None:
    """Have several processes look at what a training needs. Where one refuses none goes on, and the first that does
    says why.

    Args:
        cfg: the config.
        launcher: how processes were started (default: as the environment tells).
        look: raises what it refuses by.

    Raises:
        Exception: that of ``look``, in the first process that refuses.
        SystemExit: in the others, with the status 1.
    """
    launcher = launcher or default_launcher()
    if launcher == 'none':
        look()
        return
    meet_processes(cfg, launcher)
    refusal = None
    try:
        look()
    except Exception as error:  # whatever it is: the others wait to hear of it
        refusal = error
    refused = all_gather_object(refusal is not None)
    if any(refused):
        raise refusal if refusal and get_rank() == refused.index(True) else SystemExit(1)


def check_training(cfg: Config) -> None:
    """All of a training that can be looked at beforehand: parts of the config, data, backbone. The config is completed
    in place.

    Args:
        cfg: the config; its ``work_dir`` is set.

    Raises:
        FileNotFoundError: data or pretrained weights are missing.
        ValueError: the config lacks a part, names what is not registered, or does not fit data or weights.
    """
    check_parts(cfg, ['train_dataloader', 'train_cfg', 'optim_wrapper'])
    configure(cfg)
    check_data(cfg, ['train', 'val'])
    check_load_from(cfg)
    check_backbone(cfg)
    forget_parts(cfg)  # the copy in the work folder says once what runs


def training_runner(cfg: Config, launcher: str | None = None) -> Runner:
    """The runner of a training.

    Args:
        cfg: the config, after :func:`check_training`.
        launcher: how processes were started (default: as the environment tells).

    Raises:
        ValueError: see :func:`build_runner`.
    """
    runner = build_runner(cfg, launcher or default_launcher())
    if cfg.get('feature_cache'):
        use_feature_cache(runner, **cfg.feature_cache)
    runner.register_hook(ImageSizeHook())
    runner.register_hook(TrainedClassesHook())
    return runner


def build_runner(cfg: Config, launcher: str, kind: type[TunedRunner] = TunedRunner) -> Runner:
    """The runner of a config, whose images are opened by mmest's reader.

    Of several processes none sends what is frozen to another. Under torchrun without CUDA they talk over gloo, and
    BatchNorm norms by the batch of each process, as torch synchronises it between CUDA devices only.

    Raises:
        ValueError: the config names a type that is not registered, or an argument that its class does not take; its
            ``memory`` names what there is not, or what does not suit the method.
    """
    cfg.launcher = launcher
    configure(cfg)
    if launcher != 'none':
        unused = cfg.get('find_unused_parameters', False)
        ours = dict(type='TunedDataParallel', broadcast_buffers=False, find_unused_parameters=unused)
        cfg.model_wrapper_cfg = dict(ours, **(cfg.get('model_wrapper_cfg') or {}))
    if launcher == 'pytorch' and not torch.cuda.is_available():
        meet_processes(cfg, launcher)
        cfg.model_wrapper_cfg.device_ids = None  # mmengine would bind the model to one of CUDA
        for _, part in parts_of(cfg.model):
            if part.get('type') == 'SyncBN':
                part['type'] = 'BN'
    with explain_build_errors(cfg):
        runner = kind.from_cfg(cfg)
    count_ignored_pixels(runner.model)
    pass_over_ignored_boxes(runner.model)
    # Its loaders are not built yet, and its config, which goes into checkpoints, stays as it is.
    loaders = [runner._train_dataloader, runner._val_dataloader, runner._test_dataloader]
    # Of hooks that have a training go on with another pipeline.
    later = [hook.switch_pipeline for hook in runner.hooks if hasattr(hook, 'switch_pipeline')]
    use_reader_of(cfg, [*loaders, *later])
    return runner
