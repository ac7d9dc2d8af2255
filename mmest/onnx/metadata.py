"""What a graph says of itself: to mmest, and to Deepness, which runs models on maps in QGIS."""

import json
from typing import TYPE_CHECKING, Any

from torch import nn

from .graph import Detector, Graph

if TYPE_CHECKING:
    from mmest.prediction.model import Model

#: Under which mmest keeps what it needs.
KEY = 'mmest'
# Deepness reads rows of middle, size, confidence and classes under this name.
_ROWS = 'YOLO_v5_or_v7_default'


def metadata(model: 'Model', graph: Graph, resolution: float | None) -> dict[str, str]:
    """Keys and JSON texts, as Deepness 0.7 reads them.

    Args:
        model: what was exported.
        graph: its graph.
        resolution: ground that a pixel of the picture shows, in centimetres, if it is known.
    """
    found: dict[str, Any] = dict(
        model_type='Detector' if model.detects else 'Segmentor',
        class_names=dict(enumerate(model.classes)),
        tile_size=graph.side,
        tiles_overlap=20,  # percent, as mmest predict
        # The graph normalises by itself: Deepness divides by 255 and leaves it there.
        standardization_mean=[0.0, 0.0, 0.0],
        standardization_std=[1.0, 1.0, 1.0],
    )
    if resolution is not None:
        found['resolution'] = resolution / model.factor
    if isinstance(graph, Detector):
        found.update(det_type=_ROWS, det_conf=0.3, det_iou_thresh=graph.iou)
    else:
        found.update(seg_thresh=_threshold(graph.model) or 0.0)  # Deepness keeps what is not below it
    found[KEY] = dict(
        detects=model.detects,
        classes=list(model.classes),
        palette=model.palette.tolist(),
        tile=model.tile,
        side=graph.side,
        multiple=graph.multiple,
        least=graph.least,
        factor=model.factor,
        image_scale=model.reading['scale'],
        image_bands=model.reading['bands'],
        padding=graph.padding,
        align_corners=bool(getattr(graph.model, 'align_corners', False)),
        score_thr=graph.score_thr if isinstance(graph, Detector) else 0.0,
        threshold=None if model.detects else _threshold(graph.model),
    )
    return {name: json.dumps(value) for name, value in found.items()}


def _threshold(segmentor: nn.Module) -> float | None:
    """Above which probability a pixel is foreground, where that is all there is; of several the largest decides."""
    return segmentor.decode_head.threshold if segmentor.out_channels == 1 else None
