"""A trained model from its checkpoint alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from mmengine.config import Config

import mmest  # noqa: F401
from mmest.checkpoints.safe import load_file
from mmest.checkpoints.whole import refuse_delta
from mmest.configs import config_of
from mmest.frameworks import framework_of, name_scope_of_transforms, predicts_oriented
from mmest.pictures.colours import class_colours, object_colours
from mmest.pictures.reading import reading_of
from mmest.prediction.largest import LargestByMax
from mmest.prediction.loading import refuse_other_channels, say_other_loader
from mmest.prediction.shapes import shape_of_mask
from mmest.prediction.training_scale import TrainingScale, predict_at
from mmest.tiles.geometry import ORIENTED, STRAIGHT, rotated_corners

NO_DATA = 255  # in masks


@dataclass(frozen=True)
class Detections:
    """Objects on a tile, in its pixels.

    Attributes:
        boxes: N×columns, as the model's geometry has them.
        scores: N.
        labels: N.
        shapes: N polygons, of a model that predicts instance masks.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    shapes: np.ndarray | None = None


class Model:
    """A detector or a segmentor that takes RGB tiles, at the scale at which it was trained.

    Args:
        checkpoint: what training or ``mmest export`` wrote.
        config: its config (default: the copy inside the checkpoint).
        device: such as ``cpu`` or ``cuda:0``.

    Attributes:
        detects: whether it finds objects; otherwise it gives a class to each pixel.
        geometry: the kind of its boxes.
        most: how many objects it gives for a tile at most; None without a limit.
        lowest_score: below which it gives no object.
        classes: their names.
        palette: a colour of each, C×3 RGB.
        tile: side of a tile in pixels of the image, as training showed them.
        factor: pixels of the network by pixel of the image.
        network: the model as its framework knows it.
        reading: how the config has images read.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the checkpoint is a config, is damaged, or not safe to load; no config is known, or it cannot be
            read; the model of the config does not get all of its tensors from the checkpoint, or takes images that are
            not RGB; it has more classes than a mask can number.
    """

    def __init__(self, checkpoint: Path, config: Path | None, device: str) -> None:
        if checkpoint.suffix == '.py':
            raise ValueError(
                f'{checkpoint} is a config; MODEL is a checkpoint, which takes another config by --config.'
            )
        content = load_file(checkpoint)
        cfg: Config = config_of(content, config, checkpoint)
        meta = (content if isinstance(content, dict) else {}).get('meta', {}).get('dataset_meta') or {}
        scale = TrainingScale.of(cfg, meta.get('image_size'))
        predict_at(cfg, scale.factor)
        self._framework = framework_of(cfg)
        self.detects = self._framework.detects
        self.network = self._framework.load(cfg, str(checkpoint), device)
        refuse_delta(self.network, content)
        name_scope_of_transforms(self.network.cfg, self._framework.scope)
        refuse_other_channels(self.network, checkpoint)
        say_other_loader(cfg)
        self.geometry = ORIENTED if predicts_oriented(self.network) else STRAIGHT
        limits = cfg.model.get('test_cfg') or {}
        limits = limits.get('rcnn') or limits
        limit = limits.get('max_per_img', -1)
        self.most: int | None = limit if limit > 0 else None
        self.lowest_score: float = limits.get('score_thr', 0.0)
        self.classes: tuple[str, ...] = tuple(self.network.dataset_meta['classes'])
        stated = self.network.dataset_meta.get('palette')
        if not self.detects and len(self.classes) == getattr(self.network, 'out_channels', None) == 1:
            # A mask then has 1 where the one class is, and 0 elsewhere.
            self.classes = ('background', *self.classes)
            stated = stated and [(0, 0, 0), *stated]
        if not self.detects and len(self.classes) > NO_DATA:
            raise ValueError(
                f'{checkpoint} has {len(self.classes)} classes, but a mask of 8 bits has numbers for {NO_DATA}.'
            )
        self.palette = object_colours(len(self.classes)) if self.detects else class_colours(self.classes, stated)
        self.tile, self.factor = scale.tile, scale.factor
        self.reading = reading_of(cfg)

    def detect(self, tile: np.ndarray) -> Detections:
        """Objects on an H×W×3 tile."""
        found = self._framework.infer(self.network, np.ascontiguousarray(tile[..., ::-1])).pred_instances
        boxes = found.bboxes.cpu().numpy().astype(float)
        shapes = None
        if 'masks' in found:
            masks = found.masks.cpu().numpy() if hasattr(found.masks, 'cpu') else np.asarray(found.masks)
            shapes = np.array([shape_of_mask(mask) for mask in masks], dtype=object)
            empty = [not shape.area for shape in shapes]
            shapes[empty] = shapely.box(*boxes[empty].T[:4]) if any(empty) else shapes[empty]
        return Detections(
            boxes if self.geometry is STRAIGHT else rotated_corners(boxes),
            found.scores.cpu().numpy(),
            found.labels.cpu().numpy(),
            shapes,
        )

    def mask(self, tile: np.ndarray) -> np.ndarray:
        """Class numbers of an H×W×3 tile, H×W, uint8."""
        with LargestByMax():
            found = self._framework.infer(self.network, np.ascontiguousarray(tile[..., ::-1])).pred_sem_seg.data
        return found.squeeze(0).cpu().numpy().astype(np.uint8)
