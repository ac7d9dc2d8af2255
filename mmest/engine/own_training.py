"""A training on a user's own data: a shipped config, with the data in place of its own and a schedule that fits."""

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config, ConfigDict

from mmest.config_parts import parts_of
from mmest.configs import configs_root, read_config, set_options, tuned_backbone_of
from mmest.datasets.checks.report import count
from mmest.datasets.own.detect import read
from mmest.datasets.own.prepare import prepare
from mmest.datasets.own.prepared import Prepared, load
from mmest.datasets.own.results import DESCRIPTION
from mmest.datasets.own.sample import name_of
from mmest.engine.batch import largest_batch
from mmest.engine.resume import latest_complete_checkpoint
from mmest.engine.schedule import fit_schedule, use_own_rates, use_schedule
from mmest.frameworks import framework_of
from mmest.pictures.levels import in_words
from mmest.unused_options import forget_variables

#: Where nothing is asked for: the model of each task, and images in a step.
DEFAULT_MODELS = dict(detection='faster-rcnn', segmentation='upernet')
DEFAULT_BATCH = 4
# By how much training varies the scale of images.
_SCALES = dict(detection=(0.8, 0.9, 1.0, 1.1, 1.25), segmentation=(0.5, 0.75, 1.0, 1.5, 2.0))
_CROP_STEP = 32
_DATA = 'data'  # folder of the prepared set, in the work dir


class Choices(NamedTuple):
    """What a user may choose of a training on own data; None is what fits.

    Attributes:
        model: a config of ``configs/detection/custom`` or ``configs/segmentation/custom``, by its name.
        backbone: a file of ``configs/_base_/backbones``.
        tuning: a file of ``configs/_base_/tunings``.
        size: side of tiles and of what the network sees, in pixels.
        batch: images in a step, or ``auto`` for the most that memory allows.
        epochs: how often each image is seen.
        iters: steps, in place of epochs.
        rate: of the optimizer.
        weights: file of the backbone's pretrained weights, in place of the config's.
        seed: of the training; the split is always the same, so that runs compare.
        options: values by dotted key, set last.
        memory: levers on memory, by name.
        bands: of the images that are shown; see :class:`mmest.pictures.ImageFile`.
    """

    model: str | None = None
    backbone: str | None = None
    tuning: str | None = None
    size: int | None = None
    batch: int | str | None = None
    epochs: float | None = None
    iters: int | None = None
    rate: float | None = None
    weights: Path | None = None
    seed: int = 0
    options: dict | None = None
    memory: list[str] | None = None
    bands: tuple[int, ...] | None = None


def own_config(
    source: Path,
    choices: Choices,
    work_dir: Path | None = None,
    before_writing: Callable[[Config], None] | None = None,
    resume: str | None = None,
) -> tuple[Config, list[str]]:
    """The config of a training on own data. The data is prepared in the folder ``data`` of the work dir.

    Args:
        source: a folder, or the file that describes the data; or what ``mmest data make`` wrote.
        choices: what is not to be chosen here.
        work_dir: of the training (default: ``work_dirs/`` and the names of data, model, backbone and method).
        before_writing: called with the config, whose ``work_dir`` is set, and may refuse that.
        resume: a checkpoint to go on from; empty for the newest of the work dir. What it trained on, beside it, may not
            validate now.

    Returns:
        The config, and sentences that say how the data was understood and what was chosen.

    Raises:
        FileNotFoundError: there is no such data or file of weights, or images are missing.
        ValueError: the data is not understood, or does not suit the model; a name is unknown; an image that trained
            would validate; an option would have prediction see other values than training.
    """
    options = choices.options or {}
    if 'image_bands' in options:
        raise ValueError(
            'Levels are found and tiles are cut of the bands that are shown: in a training on own data pass --bands '
            'R,G,B in place of image_bands.'
        )
    task = _task_of(choices.model) if choices.model else _task_of_labels(source, choices.bands)
    model = choices.model or DEFAULT_MODELS[task]
    cfg = read_config(f'mmest::{task}/custom/{model}', tuning=choices.tuning, backbone=choices.backbone)
    cfg.work_dir = str(work_dir or Path('work_dirs') / f'{data_name(source)}_{Path(cfg.filename).stem}')
    if choices.weights:
        use_weights(cfg, choices.weights)
    if choices.memory:
        cfg.memory = choices.memory
    if before_writing:
        before_writing(cfg)
    start = None if resume is None else resume or latest_complete_checkpoint(cfg.work_dir)
    trained = Path(start).parent / _DATA if start else None
    prepared = prepare(source, Path(cfg.work_dir, _DATA), task, choices.size, trained=trained, bands=choices.bands)
    if 'image_scale' in options and prepared.levels and prepared.tiled:
        raise ValueError(
            f'The tiles in {prepared.images} were made with {in_words(prepared.levels)} from black to white, which '
            f'image_scale does not change. Leave it out, or scale the images first: gdal_translate -ot Byte -scale LOW '
            'HIGH 0 255.'
        )
    use_data(cfg, prepared)
    forget_variables(cfg)  # among them the data that the shipped config is for
    batch = choices.batch or DEFAULT_BATCH
    said_batch = ''
    if batch == 'auto':
        batch, said_batch = largest_batch(cfg, _largest_side(prepared))
    use_own_rates(cfg)
    images = prepared.counts['train']
    processes = int(os.environ.get('WORLD_SIZE', '1'))  # of torchrun, each with a batch of its own
    schedule = fit_schedule(cfg, images, min(batch, images) * processes, choices.epochs, choices.iters, choices.rate)
    use_schedule(cfg, schedule)
    cfg.train_dataloader.batch_size = min(batch, images)
    cfg.merge_from_dict(dict(randomness=dict(seed=choices.seed)))
    if options:
        set_options(cfg, options)
    counts = ', '.join(f'{number} {split}' for split, number in prepared.counts.items())
    said = [f'{source}: {prepared.format}, {count(len(prepared.classes), "class")}, {counts}', *prepared.notes]
    return cfg, [*said, *filter(None, [said_batch]), f'{model}: {schedule}']


def _largest_side(prepared: Prepared) -> int:
    """Of what training shows, in pixels: images with objects at the largest of their scales, crops of others."""
    largest = max(_SCALES['detection']) if prepared.task == 'detection' else 1
    return math.ceil(prepared.size * largest)


def data_name(source: Path) -> str:
    """The name of own data in the name of a folder."""
    return re.sub(r'[^\w.-]+', '_', name_of(source))


def models() -> dict[str, str]:
    """The task of each model that can be trained on own data, by its name."""
    return {path.stem: task for task in DEFAULT_MODELS for path in (configs_root() / task / 'custom').glob('*.py')}


def _task_of(model: str) -> str:
    known = models()
    if model not in known:
        names = {task: [name for name in sorted(known) if known[name] == task] for task in DEFAULT_MODELS}
        raise ValueError(
            f'There is no model "{model}" for own data; choose one of {", ".join(names["detection"])} for boxes, or of '
            f'{", ".join(names["segmentation"])} for masks.'
        )
    return known[model]


def _task_of_labels(source: Path, bands: tuple[int, ...] | None) -> str:
    if (source / DESCRIPTION).is_file():
        return load(source).task
    return 'segmentation' if read(source, bands=bands).labels == 'masks' else 'detection'


def use_weights(cfg: Config, file: Path) -> None:
    """Take the backbone's pretrained weights from a file, in place.

    Raises:
        FileNotFoundError: it is not there.
        ValueError: the config's backbone is not wrapped.
    """
    if not file.is_file():
        raise FileNotFoundError(f'--weights: there is no file "{file}".')
    tuned_backbone_of(cfg)['backbone'].init_cfg = ConfigDict(type='Pretrained', checkpoint=str(file.absolute()))


def use_data(cfg: Config, prepared: Prepared) -> None:
    """Put a prepared set in the place of a config's data, in place.

    Args:
        cfg: a config of the set's task, with loaders and pipelines of overhead images.
        prepared: the set.
    """
    put = _put_objects if framework_of(cfg).detects else _put_masks
    for loader, split in (('train', 'train'), ('val', 'val'), ('test', 'test' if 'test' in prepared.counts else 'val')):
        put(cfg, prepared, loader, split)
    for _, part in parts_of(cfg.model):
        if 'num_classes' in part:
            part.num_classes = len(prepared.classes)
    # Prediction cuts images into tiles as large as those that it was trained on, and sees the same levels and bands.
    cfg.training_scale = ConfigDict(factor=prepared.scale, tile=round(prepared.size / prepared.scale))
    if prepared.levels:
        cfg.image_scale = tuple(prepared.levels)
    if prepared.bands:
        cfg.image_bands = prepared.bands


def _metainfo(prepared: Prepared) -> dict:
    return dict(classes=tuple(prepared.classes), palette=[tuple(colour) for colour in prepared.palette])


def _put_objects(cfg: Config, prepared: Prepared, loader: str, split: str) -> None:
    dataset = dict(
        type='CocoDataset',
        metainfo=_metainfo(prepared),
        ann_file=str(prepared.labels(split)),
        data_prefix=dict(img=f'{prepared.images}/'),
    )
    if loader == 'train':
        resize = _one_of([round(prepared.scale * factor, 4) for factor in _SCALES['detection']])
        # Images without an object teach what none looks like.
        dataset.update(filter_cfg=dict(filter_empty_gt=False))
    else:
        resize = _resize(prepared.scale)
        dataset.update(test_mode=True)
        cfg[f'{loader}_evaluator'] = ConfigDict(type='CocoMetric', ann_file=dataset['ann_file'], metric='bbox')
    _put(cfg, loader, dataset, [resize])


def _put_masks(cfg: Config, prepared: Prepared, loader: str, split: str) -> None:
    dataset = dict(
        type='BaseSegDataset',
        metainfo=_metainfo(prepared),
        ann_file=str(prepared.labels(split)),
        data_prefix=dict(img_path=f'{prepared.images}/', seg_map_path=f'{prepared.folder / "masks"}/'),
        img_suffix='',
        seg_map_suffix='.png',
        reduce_zero_label=False,
    )
    side = -(-prepared.size // _CROP_STEP) * _CROP_STEP
    crop = (side, side)
    resize = []
    if loader == 'train':
        resize = [
            _one_of(_SCALES['segmentation']),
            ConfigDict(type='RandomCrop', crop_size=crop, cat_max_ratio=0.75),
        ]
    cfg.model.data_preprocessor.size = crop
    cfg.model.test_cfg = ConfigDict(mode='slide', crop_size=crop, stride=(side * 2 // 3,) * 2)
    cfg[f'{loader}_evaluator'] = ConfigDict(type='IoUMetric', iou_metrics=['mIoU'])
    _put(cfg, loader, dataset, resize)


def _put(cfg: Config, loader: str, dataset: dict, resize: list[ConfigDict]) -> None:
    """Exchange the data set of a loader, and in its pipeline what resizes and crops."""
    name = f'{loader}_dataloader'
    kept = [step for step in cfg[name].dataset.pipeline if step.type not in ('Resize', 'RandomResize', 'RandomCrop')]
    # Labels are resized with the image in training; in evaluation they are those of the image as it is.
    at = next(i for i, step in enumerate(kept) if step.type == 'LoadAnnotations') + (loader == 'train')
    cfg[name].dataset = ConfigDict(**dataset, pipeline=[*kept[:at], *resize, *kept[at:]])


def _resize(factor: float) -> ConfigDict:
    return ConfigDict(type='Resize', scale_factor=factor, keep_ratio=True)


def _one_of(factors: tuple[float, ...] | list[float]) -> ConfigDict:
    return ConfigDict(type='RandomChoice', transforms=[[_resize(factor)] for factor in factors])
