"""What differs between mmdet, mmseg and their maintained forks (onedl-*, of equal import names): asked here alone."""

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.registry import TRANSFORMS
from mmengine.runner import BaseLoop, Runner
from torch import nn

from mmest.checkpoints.safe import safe_loading
from mmest.config_parts import first_dataset

# With what these packages need and forget to declare.
_EXTRAS = dict(mmdet='mmest[det]', mmseg='mmest[seg]', mmpretrain='mmest[mmpretrain]')


@dataclass(frozen=True)
class Framework:
    """mmdet or mmseg, as far as mmest has to know which it is.

    Attributes:
        scope: name of the package and of its registries' scope.
        task: ``detection`` or ``segmentation``.
        visualizer: the class that draws its predictions.
        base: the class that all its models are of, as ``module:name``.
    """

    scope: str
    task: str
    visualizer: str
    base: str

    @property
    def detects(self) -> bool:
        """Whether its models find boxes; those of the other give a class to each pixel."""
        return self.task == 'detection'

    def load(self, cfg: Config, checkpoint: str, device: str) -> nn.Module:
        """The model of a config with the weights of a checkpoint, in eval mode.

        Raises:
            FileNotFoundError: the checkpoint is missing.
            ValueError: it is damaged, not safe to load, or does not hold every tensor of the model.
        """
        name = 'init_detector' if self.detects else 'init_model'
        if self.detects:  # which builds the data set of the test for its colours; what is wrapped would read its labels
            loader = cfg.get('test_dataloader') or {}
            cfg.test_dataloader = dict(loader, dataset={'type': 'mmdet.CocoDataset', **(first_dataset(loader) or {})})
        with safe_loading():
            return getattr(importlib.import_module(f'{self.scope}.apis'), name)(cfg, checkpoint, device=device)

    def infer(self, model: nn.Module, image: np.ndarray) -> Any:
        """The data sample with the prediction for an image, H×W×3 in BGR."""
        name = 'inference_detector' if self.detects else 'inference_model'
        return getattr(importlib.import_module(f'{self.scope}.apis'), name)(model, image)


DETECTION = Framework('mmdet', 'detection', 'DetLocalVisualizer', 'mmdet.models.detectors:BaseDetector')
SEGMENTATION = Framework('mmseg', 'segmentation', 'SegLocalVisualizer', 'mmseg.models.segmentors:BaseSegmentor')


def framework_of(cfg: Config) -> Framework:
    """The framework that a config is for, by its default scope."""
    return SEGMENTATION if cfg.get('default_scope') == 'mmseg' else DETECTION


def framework_of_model(model: nn.Module) -> Framework:
    """The framework that a model is from, by its base class.

    Raises:
        TypeError: it is neither a detector of mmdet nor a segmentor of mmseg.
    """
    for framework in (DETECTION, SEGMENTATION):
        module, _, name = framework.base.partition(':')
        try:
            if isinstance(model, getattr(importlib.import_module(module), name)):
                return framework
        except ImportError:  # not installed, so the model is not from it
            pass
    raise TypeError(
        f'Expected a detector of mmdet or a segmentor of mmseg, found {type(model).__name__}. Measure other models '
        'with mmest.measure_training_step and a batch of yours.'
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
            f"({error}). Install it: pip install '{_EXTRAS.get(scope, scope)}'"
        ) from error


def predicts_oriented(model: nn.Module) -> bool:
    """Whether a head of a detector predicts rotated boxes, as those of mmrotate do: heads of regions say so, dense ones
    have a coder of five numbers a box.
    """
    return any(
        getattr(module, 'predict_box_type', None) == 'rbox'
        or getattr(getattr(module, 'bbox_coder', None), 'encode_size', None) == 5
        for module in model.modules()
    )


def find_mmseg_by_its_module() -> None:
    """Have configs that inherit from ``mmseg::`` find it: mmengine, the fork of it too, asks for the distribution
    "mmsegmentation", while the fork of mmseg is named otherwise. mmdet needs nothing, as module and distribution have
    one name.
    """
    try:
        version('mmsegmentation')
    except PackageNotFoundError:
        if importlib.util.find_spec('mmseg'):
            MODULE2PACKAGE['mmseg'] = 'mmseg'


def replay_when_resuming(loop: BaseLoop) -> None:
    """Have a loop by iterations load the data that was trained on before, as mmengine's does: its fork skips the data,
    and with it the random numbers that its augmentation drew, so that a resumed training would see other pictures.
    """
    iterator = getattr(loop, 'dataloader_iterator', None)
    if hasattr(iterator, 'skip_iter'):

        def replay(steps: int) -> None:
            for _ in range(steps):
                next(iterator)

        iterator.skip_iter = replay


def calling_runner() -> Runner | None:
    """The mmengine runner whose method has called, on whatever way; None if there is none.

    Nothing else tells a model which runner trains it.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if isinstance(frame.f_locals.get('self'), Runner):
            return frame.f_locals['self']
        frame = frame.f_back
    return None


def _with_scope(transform: Any, scope: str) -> Any:
    """A transform's config, and those of transforms inside it, with the scope that has it in front of each type: the
    framework's, or mmengine's, where users may register theirs.
    """
    if isinstance(transform, (list, tuple)):
        return type(transform)(_with_scope(part, scope) for part in transform)
    if not isinstance(transform, dict):
        return transform
    named = {key: _with_scope(value, scope) for key, value in transform.items()}
    if isinstance(named.get('type'), str) and '.' not in named['type']:
        kind = named['type']
        with TRANSFORMS.switch_scope_and_registry(scope) as own:
            of_users = own.get(f'{scope}.{kind}') is None and own.get(f'mmengine.{kind}') is not None
        named['type'] = f'{"mmengine" if of_users else scope}.{kind}'
    return named


def name_scope_of_transforms(cfg: Config, scope: str) -> None:
    """Have the inference functions find a model's transforms in its own framework: they look in that of the model that
    was loaded last.
    """
    dataset = first_dataset(cfg.get('test_dataloader')) or {}
    for owner, key in ((cfg, 'test_pipeline'), (dataset, 'pipeline')):
        if key in owner:
            # mmseg leaves this one out at inference, by its bare name.
            wanted = [t for t in owner[key] if scope != 'mmseg' or t.get('type') != 'LoadAnnotations']
            owner[key] = _with_scope(wanted, scope)
