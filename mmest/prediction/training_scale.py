"""The scale at which a model was trained, which is that at which it predicts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config, ConfigDict

from mmest.config_parts import first_dataset, kind_of

_CROPS = ('RandomCrop', 'CenterCrop', 'MinIoURandomCrop')
# Parts of the names of what a tile does not go through.
_LEFT_OUT = ('Resize', 'Load', 'Flip', 'Crop', 'ConvertBoxType')
_DEFAULT = 1024


@dataclass(frozen=True)
class TrainingScale:
    """What training made of its images.

    Attributes:
        factor: pixels of the network by pixel of the image.
        tile: side of what the network was shown, in pixels of the image.
    """

    factor: float
    tile: int

    @classmethod
    def of(cls, cfg: Config, image_size: Sequence[int] | None = None) -> 'TrainingScale':
        """Read a config's training.

        Args:
            cfg: the config.
            image_size: width and height of its training images. Unknown, they are taken to have the size that the
                config resizes them to.
        """
        if cfg.get('training_scale'):  # of own data, which is cut or scaled before training
            return cls(**cfg.training_scale)
        factor, side = 1.0, None
        for step in _steps(_pipeline(cfg.get('train_dataloader')) or cfg.get('train_pipeline') or []):
            name = kind_of(step)
            # A mosaic fits each image into a part of its canvas; what follows resizes the canvas.
            if ('Resize' in name or 'Mosaic' in name) and side is None:
                factor, side = _resized(step, image_size)
            elif crop := _crop(step):
                side = max(_sides(crop))
        if side is None:
            size = (cfg.model.get('data_preprocessor') or {}).get('size')
            side = max(size) if size else max(image_size or [_DEFAULT])
        return cls(factor, max(32, round(side / factor)))


def shown_in_training(cfg: Config) -> tuple[int, int] | None:
    """Height and width of the images that a config's training shows the network, padding included, the shorter side
    first; None where the config does not say.
    """
    shown = None
    for step in _steps(_pipeline(cfg.get('train_dataloader')) or cfg.get('train_pipeline') or []):
        sides = _crop(step)
        if sides is None and 'Resize' in kind_of(step) and shown is None:
            sides = _scale(step)
        if sides:
            shown = _sides(sides)
    if shown is None:
        return None
    divisor = (cfg.model.get('data_preprocessor') or {}).get('pad_size_divisor', 1)
    height, width = sorted(math.ceil(side / divisor) * divisor for side in shown)
    return height, width


def predict_at(cfg: Config, factor: float) -> None:
    """Have a config's testing take tiles as they are but for one factor, in place.

    Args:
        cfg: the config.
        factor: pixels of the network by pixel of the tile.
    """
    pipeline = _pipeline(cfg.get('test_dataloader')) or cfg.get('test_pipeline') or _pipeline(cfg.get('val_dataloader'))
    kept = [
        step
        for step in _steps(pipeline or _packing(cfg))
        if not any(part in kind_of(step) for part in _LEFT_OUT) or kind_of(step) == 'ResizeToMultiple'
    ]
    resize = dict(type='Resize', scale_factor=factor, keep_ratio=True)  # without it mmdet knows no way back
    made = [ConfigDict(step) for step in (dict(type='LoadImageFromFile'), resize)] + kept
    cfg.test_pipeline = made
    loader = cfg.get('test_dataloader') or {}
    cfg.test_dataloader = dict(loader, dataset=dict(first_dataset(loader) or {}, pipeline=made))


def _packing(cfg: Config) -> list[dict]:
    """The last step of a training that has neither test nor validation."""
    steps = _steps(_pipeline(cfg.get('train_dataloader')) or [])
    return [dict(type=step['type']) for step in steps if 'Pack' in kind_of(step)]


def _pipeline(loader: dict | None) -> list | None:
    dataset = (loader or {}).get('dataset')
    while dataset:
        if dataset.get('pipeline'):
            return dataset['pipeline']
        dataset = dataset.get('dataset') or (dataset.get('datasets') or [None])[0]
    return None


def _steps(pipeline: Sequence[Any]) -> list[dict]:
    """Transforms in turn; of choices the first."""
    found = []
    for step in pipeline:
        inner = step.get('transforms') if isinstance(step, dict) else None
        if not isinstance(step, dict):
            found += _steps(step)
        elif inner:
            found += _steps(inner[0] if isinstance(inner[0], (list, tuple)) else inner)
        else:
            found.append(step)
    return found


def _resized(step: dict, image_size: Sequence[int] | None) -> tuple[float, float | None]:
    """The factor of a step that resizes, and the longer side of what it makes; (1, None) if it names neither."""
    longest = max(image_size or [_DEFAULT])
    if step.get('scale_factor'):
        factor = math.sqrt(math.prod(_sides(step['scale_factor'])))
        return factor, factor * longest
    scale = _scale(step)
    if not scale:
        return 1.0, None
    sides = _sides(scale)
    if 'ResizeShortestEdge' in (kind_of(step), kind_of(dict(type=step.get('resize_type', '')))):
        if not image_size:
            return 1.0, min(sides)
        factor = min(min(sides) / min(image_size), (step.get('max_size') or math.inf) / longest)
        return factor, factor * longest
    return _factor(sides, image_size, step.get('keep_ratio', 'Mosaic' in kind_of(step))), max(sides)


def _crop(step: dict) -> Any:
    """What a step cuts out, in pixels; None if it cuts nothing, or a share."""
    absolute = kind_of(step) in _CROPS and step.get('crop_type', 'absolute') == 'absolute'
    return step.get('crop_size') if absolute else None


def _scale(step: dict) -> Any:
    """What a step resizes to, of several the middle one; None if it does not say."""
    if kind_of(step) == 'FixShapeResize':
        return step['width'], step['height']
    if step.get('scales'):  # of which one is drawn
        return sorted(step['scales'], key=lambda one: math.prod(_sides(one)))[len(step['scales']) // 2]
    return step.get('scale') or step.get('img_scale')


def _sides(scale: Any) -> tuple[float, float]:
    """Two sides; of several scales those of the middle one."""
    if isinstance(scale, (int, float)):
        return scale, scale
    if isinstance(scale[0], (list, tuple)):
        return tuple(sorted(map(tuple, scale), key=math.prod)[len(scale) // 2])
    return tuple(scale[:2])


def _factor(sides: tuple[float, float], image_size: Sequence[int] | None, keep_ratio: bool) -> float:
    if not image_size:
        return 1.0
    if keep_ratio:
        return min(max(sides) / max(image_size), min(sides) / min(image_size))
    return math.sqrt(math.prod(sides) / math.prod(image_size))
