"""What a training is about, in ten lines, before its first step."""

import copy
from pathlib import Path

import torch
from mmengine.logging import print_log
from mmengine.registry import MODELS
from mmengine.runner import EpochBasedTrainLoop, Runner
from rich.table import Table
from torch.utils.data import Dataset

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.checkpoints.named_pretrained import without_pretrained
from mmest.console import seen_from_here
from mmest.datasets.checks.report import count as counted
from mmest.engine.processes import bare
from mmest.measure.parameters import count, trainable
from mmest.measure.planner.meta_backbone import MetaBackbone
from mmest.random_numbers import untouched_random_numbers

_CLASSES = 4
# Values that an optimizer keeps for each one that it trains.
_STATES = dict(SGD=1, Adam=2, AdamW=2)


def header(runner: Runner, log: Path) -> Table:
    """Data, model, what trains, schedule, memory and where the files are, as rows of a grid."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(overflow='fold')  # a long path is still whole
    for name, text in (
        ('data', _data(runner)),
        ('model', _model(runner)),
        ('trains', _trains(runner)),
        ('starts', _start(runner)),
        ('schedule', _schedule(runner)),
        ('rate', _rate(runner)),
        ('device', _device(runner)),
        ('memory', _memory(runner)),
        ('files', f'{seen_from_here(Path(runner.work_dir).absolute())} (all that is not shown here: {log.name})'),
    ):
        if text:
            grid.add_row(name, text)
    return grid


def _data(runner: Runner) -> str:
    train = runner.train_dataloader.dataset
    counts = [f'{len(train)} images to train on']
    if runner.val_loop is not None:
        counts.append(f'{len(runner.val_dataloader.dataset)} to validate')
    names = (getattr(train, 'metainfo', None) or {}).get('classes') or ()
    more = ', ...' if len(names) > _CLASSES else ''
    classes = f'; {counted(len(names), "class")}: {", ".join(names[:_CLASSES])}{more}' if names else ''
    return f'{", ".join(counts)}{classes}'


def _model(runner: Runner) -> str:
    model = bare(runner)
    parts = [type(model).__name__]
    for _, tuned in tuned_backbones(model):
        file = f'{tuned.coverage.share:.0%} from {Path(tuned.coverage.source).name}' if tuned.coverage else 'no file'
        parts.append(f'{type(tuned.backbone).__name__} ({file})')
    return f'{" with ".join(parts)}, {count(model.parameters()) / 1e6:.1f} M parameters'


def _trains(runner: Runner) -> str:
    model = bare(runner)
    tuned = [one for _, one in tuned_backbones(model)]
    share = f'{trainable(model) / count(model.parameters()):.0%} of all'
    if not tuned:
        return f'{trainable(model) / 1e6:.2f} M, {share}; no backbone is tuned by a method'
    by_method = sum(trainable(one) for one in tuned)
    return (
        f'{", ".join(type(one.method).__name__ for one in tuned)}: {by_method / 1e6:.2f} M in or beside the backbone, '
        f'{(trainable(model) - by_method) / 1e6:.2f} M in neck and heads; {share}'
    )


def _start(runner: Runner) -> str | None:
    file = Path(str(runner.cfg.get('load_from'))).name
    if runner.iter:
        return f'after step {runner.iter} of {runner.max_iters}, from {file}'
    return f'from the weights of {file}' if runner.cfg.get('load_from') else None


def _schedule(runner: Runner) -> str:
    loop, wrapper = runner.train_loop, runner.optim_wrapper
    if isinstance(loop, EpochBasedTrainLoop):
        unit, length = 'epoch', f'{counted(loop.max_epochs, "epoch")} of {counted(len(loop.dataloader), "step")}'
    else:
        unit, length = 'step', counted(loop.max_iters, 'step')
    every = f'{loop.val_interval} {unit}s' if loop.val_interval > 1 else unit
    accumulated = getattr(wrapper, '_accumulative_counts', 1)
    batch = f'batch {_batch_size(runner)}' + (f' × {runner.world_size} processes' if runner.world_size > 1 else '')
    batch += f' × {accumulated} steps' if accumulated > 1 else ''
    rates = sorted({group.get('initial_lr', group['lr']) for group in wrapper.optimizer.param_groups})
    text = f'{length}, {batch}, {type(wrapper.optimizer).__name__} at {", ".join(f"{rate:.3g}" for rate in rates)}'
    return text if runner.val_loop is None else f'{text}; validation every {every}'


def _rate(runner: Runner) -> str | None:
    """What the config's rate is for, where steps have another number of images."""
    scaling = runner.cfg.get('auto_scale_lr') or {}
    meant = scaling.get('base_batch_size')
    images = _batch_size(runner) * runner.world_size * getattr(runner.optim_wrapper, '_accumulative_counts', 1)
    if meant in (None, images) or scaling.get('enable'):
        return None
    return (
        f'for {meant} images a step, here are {images}: --cfg-options auto_scale_lr.enable=True scales it in '
        'proportion, optim_wrapper.accumulative_counts=N gathers N batches'
    )


def _batch_size(runner: Runner) -> int:
    loader = runner.train_dataloader
    return loader.batch_size or getattr(loader.batch_sampler, 'batch_size', 1)


def _device(runner: Runner) -> str:
    device = next(bare(runner).parameters()).device
    threads = counted(torch.get_num_threads(), 'thread')
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else f'CPU, {threads}'
    dtype = getattr(runner.optim_wrapper, 'cast_dtype', torch.float32) or torch.float16
    return f'{name}, {str(dtype).rpartition(".")[2]}, seed {runner.seed}'


def _memory(runner: Runner) -> str | None:
    """What a step takes at least: of the backbone without data, and of weights, gradients and optimizer."""
    if hasattr(runner.optim_wrapper, 'cast_dtype'):
        return None  # tensors without data are those of full precision
    try:
        with untouched_random_numbers():
            height, width = _with_own_pipelines(runner.train_dataloader.dataset)[0]['inputs'].shape[-2:]
            cfg = without_pretrained(copy.deepcopy(runner.cfg.model.backbone))
            backbone = MetaBackbone(MODELS.build(cfg).train())
        memory = backbone.memory(_batch_size(runner), (height, width))
    except Exception as error:  # of whatever data set and backbone; the training needs none of this
        print_log(f'The memory of a step was not estimated: {type(error).__name__}: {error}', logger='current')
        return None
    model = bare(runner)
    heads = count(model.parameters()) - sum(count(tuned.parameters()) for _, tuned in tuned_backbones(model))
    states = 1 + _STATES.get(type(runner.optim_wrapper.optimizer).__name__, 0)
    total = int(max(memory.forward.max(), memory.backward.max())) + 4 * (heads + states * trainable(model))
    amount = f'{total / 2**30:.1f} GiB' if total > 2**30 else f'{total / 2**20:.0f} MiB'
    return f'at least {amount} for a step at {height}×{width}, heads not counted'


def _with_own_pipelines(dataset: Dataset) -> Dataset:
    """A data set with the same labels, whose transforms keep for themselves what they gather for later images
    (CachedMosaic), however it is wrapped.
    """
    own = copy.copy(dataset)
    if hasattr(dataset, 'pipeline'):
        own.pipeline = copy.deepcopy(dataset.pipeline)
    if hasattr(dataset, 'dataset'):
        own.dataset = _with_own_pipelines(dataset.dataset)
    if hasattr(dataset, 'datasets'):
        own.datasets = [_with_own_pipelines(one) for one in dataset.datasets]
    return own
