"""A trained model from its checkpoint alone."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader

import mmest  # noqa: F401
from mmest.datasets.dota.geometry import ORIENTED, STRAIGHT, rotated_corners
from mmest.engine.launch import read_config
from mmest.utils import predicts_oriented


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
        cfg = read_config(str(config)) if config else _config_of(checkpoint)
        self.detects = cfg.get('default_scope') == 'mmdet'
        apis = _apis(self.detects)
        self._model = apis[0](cfg, str(checkpoint), device=device)
        self._infer: Callable = apis[1]
        self.geometry = ORIENTED if predicts_oriented(self._model) else STRAIGHT
        self.classes: tuple[str, ...] = tuple(self._model.dataset_meta['classes'])
        self.palette = _palette(self._model.dataset_meta.get('palette'), len(self.classes))
        self.tile = 1024 if self.detects else max(cfg.model.data_preprocessor.get('size') or [512])

    def boxes(self, tile: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Boxes as ``geometry`` has them, scores and labels."""
        found = self._infer(self._model, np.ascontiguousarray(tile[..., ::-1])).pred_instances
        boxes = found.bboxes.cpu().numpy().astype(float)
        return (
            boxes if self.geometry is STRAIGHT else rotated_corners(boxes),
            found.scores.cpu().numpy(),
            found.labels.cpu().numpy(),
        )

    def mask(self, tile: np.ndarray) -> np.ndarray:
        """Class numbers, H×W."""
        found = self._infer(self._model, np.ascontiguousarray(tile[..., ::-1])).pred_sem_seg.data
        return found.squeeze(0).cpu().numpy().astype(np.uint8)


def _config_of(checkpoint: Path) -> Config:
    content = CheckpointLoader.load_checkpoint(str(checkpoint), map_location='cpu')
    text = (content.get('meta') or {}).get('cfg') if isinstance(content, dict) else None
    if not text:
        raise ValueError(f'{checkpoint} carries no config; name it with --config.')
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'config.py')
        path.write_text(text)
        return read_config(str(path))


def _apis(detects: bool) -> tuple[Callable, Callable]:
    if detects:
        from mmdet.apis import inference_detector, init_detector

        return init_detector, inference_detector
    from mmseg.apis import inference_model, init_model

    return init_model, inference_model


def _palette(stated: list | None, count: int) -> np.ndarray:
    """A colour for each class, RGB."""
    if isinstance(stated, (list, tuple)) and len(stated) >= count:
        return np.array(stated, np.uint8)[:count]
    from mmdet.visualization import get_palette

    return np.array(get_palette('random', count), np.uint8)
