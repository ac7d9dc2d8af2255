"""What a graph says of itself: to mmest, and to Deepness, which runs models on maps in QGIS."""

import json
from typing import TYPE_CHECKING, Any

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
        found.update(seg_thresh=0.0 if len(model.classes) > 1 else 0.5)
    found[KEY] = dict(
        detects=model.detects,
        classes=list(model.classes),
        palette=model.palette.tolist(),
        tile=model.tile,
        side=graph.side,
        multiple=graph.multiple,
        least=graph.least,
        factor=model.factor,
        image_scale=model.image_scale,
        padding=graph.padding,
        align_corners=bool(getattr(graph.model, 'align_corners', False)),
        threshold=float(getattr(getattr(graph.model, 'decode_head', None), 'threshold', None) or 0.5),
    )
    return {name: json.dumps(value) for name, value in found.items()}
