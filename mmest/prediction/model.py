"""A trained model from its checkpoint alone."""

from pathlib import Path

import numpy as np
from mmengine.runner.checkpoint import CheckpointLoader

import mmest  # noqa: F401
from mmest.configs import config_of
from mmest.frameworks import framework_of, predicts_oriented
from mmest.tiles.geometry import ORIENTED, STRAIGHT, rotated_corners


class Model:
    """A detector or a segmentor that takes RGB tiles.

    Args:
        checkpoint: what training or tools/export.py wrote.
        config: its config (default: the copy inside the checkpoint).
        device: such as ``cpu`` or ``cuda:0``.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: no config is known, or it cannot be read.
    """

    def __init__(self, checkpoint: Path, config: Path | None, device: str) -> None:
        if not checkpoint.is_file():
            raise FileNotFoundError(f'There is no checkpoint "{checkpoint}".')
        content = CheckpointLoader.load_checkpoint(str(checkpoint), map_location='cpu')
        cfg = config_of(content if isinstance(content, dict) else {}, config, checkpoint)
        self._framework = framework_of(cfg)
        self.detects = self._framework.detects
        self._model = self._framework.load(cfg, str(checkpoint), device)
        self.geometry = ORIENTED if predicts_oriented(self._model) else STRAIGHT
        self.classes: tuple[str, ...] = tuple(self._model.dataset_meta['classes'])
        self.palette = _palette(self._model.dataset_meta.get('palette'), len(self.classes))
        self.tile = 1024 if self.detects else max(cfg.model.data_preprocessor.get('size') or [512])

    def boxes(self, tile: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes as ``geometry`` has them, scores and labels."""
        found = self._framework.infer(self._model, np.ascontiguousarray(tile[..., ::-1])).pred_instances
        boxes = found.bboxes.cpu().numpy().astype(float)
        return (
            boxes if self.geometry is STRAIGHT else rotated_corners(boxes),
            found.scores.cpu().numpy(),
            found.labels.cpu().numpy(),
        )

    def mask(self, tile: np.ndarray) -> np.ndarray:
        """Class numbers, H×W."""
        found = self._framework.infer(self._model, np.ascontiguousarray(tile[..., ::-1])).pred_sem_seg.data
        return found.squeeze(0).cpu().numpy().astype(np.uint8)


def _palette(stated: list | None, count: int) -> np.ndarray:
    """A colour for each class, RGB."""
    if isinstance(stated, (list, tuple)) and len(stated) >= count:
        return np.array(stated, np.uint8)[:count]
    from mmdet.visualization import get_palette

    return np.array(get_palette('random', count), np.uint8)
