"""A trained model from its ONNX graph."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmcv.transforms import Resize

from mmest.pictures.reading import reading_of
from mmest.prediction.model import Detections
from mmest.tiles.geometry import STRAIGHT

from .devices import providers
from .graph import up_to_multiple
from .installed import onnxruntime
from .metadata import KEY

_SMALLEST = 1e-38  # of a float, above 0


class OnnxModel:
    """As :class:`mmest.prediction.model.Model`, from what ``mmest export --onnx`` wrote; it needs no weights beside.

    Args:
        file: its path or its bytes.
        device: such as ``cpu`` or ``cuda:0``, which takes onnxruntime-gpu.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: onnxruntime is not installed, or cannot use the device; the file is no ONNX graph, or another
            program wrote it.
    """

    geometry = STRAIGHT

    def __init__(self, file: Path | bytes, device: str) -> None:
        if isinstance(file, Path) and not file.is_file():
            raise FileNotFoundError(f'There is no ONNX graph "{file}".')
        runtime = onnxruntime()
        wanted = providers(runtime, device)
        try:
            self._session = runtime.InferenceSession(
                file if isinstance(file, bytes) else file.read_bytes(), providers=wanted
            )
        except runtime.capi.onnxruntime_pybind11_state.InvalidProtobuf as error:
            raise ValueError(
                f'{file} is no ONNX graph, or is damaged; write it anew by mmest export --onnx.'
            ) from error
        told = self._session.get_modelmeta().custom_metadata_map
        if KEY not in told:
            raise ValueError(
                f'{file} does not say what its numbers mean: mmest export --onnx did not write it. '
                'Predict from the checkpoint, or export that.'
            )
        if wanted[0][0] not in self._session.get_providers():  # it goes on without, and says so to a log
            raise ValueError(
                f'onnxruntime cannot use {device}: there is no such card, or CUDA and cuDNN are not of the versions '
                'that this onnxruntime-gpu was made for. Pass --device cpu, or install those.'
            )
        self._about: dict[str, Any] = json.loads(told[KEY])
        self.detects: bool = self._about['detects']
        #: Objects that a detector gives for a tile at most.
        self.most: int | None = self._session.get_outputs()[0].shape[1] if self.detects else None
        #: Below which a detector gives no object.
        self.lowest_score: float = self._about.get('score_thr', 0.0)
        self.classes = tuple(self._about['classes'])
        self.palette = np.array(self._about['palette'], np.uint8)
        self.tile: int = self._about['tile']
        #: Whether it takes tiles of other sizes too.
        self.dynamic: bool = bool(self._about.get('multiple'))
        self.reading = reading_of(self._about)

    def detect(self, tile: np.ndarray) -> Detections:
        """Objects on an H×W×3 tile, at most as large as the graph takes."""
        rows, _, factors = self._run(tile)
        rows = rows[rows[:, 4] > 0]
        middle, half = rows[:, :2], rows[:, 2:4] / 2
        limits = np.tile(np.array(tile.shape[1::-1], float), 2)
        boxes = np.hstack([middle - half, middle + half]).astype(float) / np.tile(factors, 2)
        return Detections(np.clip(boxes, 0, limits), rows[:, 4], rows[:, 5:].argmax(1))

    def mask(self, tile: np.ndarray) -> np.ndarray:
        """Class numbers of an H×W×3 tile, H×W, uint8."""
        found, (height, width), _ = self._run(tile)
        shares = torch.from_numpy(found[None, :, :height, :width])
        if (height, width) != tile.shape[:2]:  # logits, up to what is common to all classes, are what is resized
            two_sided = shares.shape[1] == 1
            logits = shares.logit(_SMALLEST) if two_sided else shares.clamp(min=_SMALLEST).log()
            logits = F.interpolate(logits, tile.shape[:2], mode='bilinear', align_corners=self._about['align_corners'])
            shares = logits.sigmoid() if two_sided else logits
        numbers = shares.argmax(1) if shares.shape[1] > 1 else shares[:, 0] > self._about['threshold']
        return numbers[0].numpy().astype(np.uint8)

    def shown(self, tile: np.ndarray) -> np.ndarray:
        """What the graph is given for a tile, 1×3×H'×W', at its scale and filled up to a size that it takes."""
        return self._prepare(tile)[0]

    def probabilities(self, tile: np.ndarray) -> np.ndarray:
        """What the graph of a segmentor gives for what it is shown of a tile, C×H'×W'."""
        return self._run(tile)[0]

    def _prepare(self, tile: np.ndarray) -> tuple[np.ndarray, tuple[int, int], tuple[float, float]]:
        resized = Resize(scale_factor=self._about['factor'], keep_ratio=True)(dict(img=tile, img_shape=tile.shape[:2]))
        height, width = resized['img'].shape[:2]
        picture = np.empty((*self._taken(height, width), 3), np.float32)
        picture[:] = self._about['padding']
        picture[:height, :width] = resized['img'].astype(np.float32) / 255
        return np.ascontiguousarray(picture.transpose(2, 0, 1)[None]), (height, width), resized['scale_factor']

    def _taken(self, height: int, width: int) -> tuple[int, int]:
        """The least height and width that the graph takes and that a picture fits into."""
        side, multiple, least = self._about['side'], self._about.get('multiple'), self._about.get('least')
        if multiple:
            return max(least, up_to_multiple(height, multiple)), max(least, up_to_multiple(width, multiple))
        if max(height, width) > side:
            raise ValueError(f'The ONNX graph takes pictures of {side}×{side} pixels, not {height}×{width}.')
        return side, side

    def _run(self, tile: np.ndarray) -> tuple[np.ndarray, tuple[int, int], tuple[float, float]]:
        """What the graph gives for a tile, height and width of what it was shown, and their factors (width, height)."""
        picture, size, factors = self._prepare(tile)
        given = {self._session.get_inputs()[0].name: picture}
        return self._session.run(None, given)[0][0], size, factors
