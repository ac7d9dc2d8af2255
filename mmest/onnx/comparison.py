"""Whether a graph gives what torch gives."""

import cv2
import numpy as np
import torch

from mmest.prediction.model import Detections, Model

from .graph import SCORE_THR, Detector, Graph, Segmentor
from .installed import onnx
from .model import OnnxModel

# Of scores and probabilities, and of boxes as a share of the side.
_TOLERANCE, _TOLERANCE_FP16 = 1e-4, 2e-2
_TURNED_FP16, _TURNED_ANY_SCORE = 0.2, 0.05  # of the objects
_COARSER, _COARSER_FP16 = 10, 2  # are scores told apart that noise alone has
_UNSURE, _UNSURE_FP16 = 1e-2, 5e-2  # of the pixels of a mask that is resized


def sizes_to_compare(model: Model, graph: Graph) -> list[tuple[int, int]]:
    """Height and width of the pictures on which a graph is compared: a tile, and with one of dynamic size another."""
    sizes = [(model.tile, model.tile)]
    if graph.multiple:  # the least, but not that which the graph was made of
        other = graph.least, graph.least + graph.multiple
        sizes.append((int(other[0] / model.factor), int(other[1] / model.factor)))
    return sizes


def compare(model: Model, graph: Graph, proto, fp16: bool) -> list[tuple[float, str]]:
    """How far onnxruntime is from torch on each of :func:`sizes_to_compare`, and what was compared.

    A trained detector finds little in noise, if anything. So it is compared by objects of any score as well, which a
    graph has but for the one number that leaves them out.

    Args:
        model: what torch gives; a detector's threshold is 0 afterwards.
        graph: what the graph was made of.
        proto: the graph; a detector's has a threshold of 0 afterwards.
        fp16: whether it computes in half precision.

    Raises:
        ValueError: they differ by more than is tolerated.
    """
    tolerance = _TOLERANCE_FP16 if fp16 else _TOLERANCE
    sizes, there = sizes_to_compare(model, graph), OnnxModel(proto.SerializeToString(), 'cpu')
    if isinstance(graph, Segmentor):
        return [_difference_of_ground(model, graph, there, size, tolerance) for size in sizes]
    assert isinstance(graph, Detector)
    compared = [_difference_of_objects(model, graph, there, size, tolerance) for size in sizes]
    if graph.score_thr > 0 and _without_threshold(proto):
        model.network.bbox_head.test_cfg.score_thr = graph.score_thr = 0
        there = OnnxModel(proto.SerializeToString(), 'cpu')
        compared += [_difference_of_objects(model, graph, there, size, tolerance, any_score=True) for size in sizes]
    return compared


def _without_threshold(proto) -> bool:
    """Have a graph leave out no object for its score, in place; whether it has a threshold."""
    for tensor in proto.graph.initializer:
        if tensor.name == SCORE_THR:
            arrays = onnx().numpy_helper
            tensor.CopyFrom(arrays.from_array(np.zeros_like(arrays.to_array(tensor)), SCORE_THR))
            return True
    return False


def _difference_of_objects(
    model: Model, graph: Detector, there: OnnxModel, size: tuple[int, int], tolerance: float, any_score: bool = False
) -> tuple[float, str]:
    """How far onnxruntime is from torch on a picture of a size, and what was compared.

    Raises:
        ValueError: farther than is tolerated.
    """
    tile = _picture(*size)
    wanted, found = model.detect(tile), there.detect(tile)
    # Small scores are told apart by their share of the largest.
    coarser = _COARSER_FP16 if tolerance > _TOLERANCE else _COARSER
    unit = coarser * wanted.scores.max(initial=1e-6) if any_score else 1.0
    # What scores about as much as is needed may be left out by one and not by the other.
    least = max(
        [graph.score_thr, *(objects.scores.min() for objects in (wanted, found) if len(objects.scores) == graph.most)]
    )
    least = float(least) + tolerance * unit
    apart = np.concatenate([_apart(*pair, max(size), least, unit) for pair in ((wanted, found), (found, wanted))])
    # Rounding may turn which of two boxes suppresses the other: to half precision, and where many score alike.
    turned = apart > tolerance
    allowed = (_TURNED_FP16 if tolerance > _TOLERANCE else 0.0) + (_TURNED_ANY_SCORE if any_score else 0.0)
    if turned.size and turned.mean() <= allowed:
        apart = apart[~turned]
    count = f'{int((wanted.scores > least).sum())} objects' + any_score * ' of any score'
    return _tolerated(float(apart.max(initial=0)), tolerance), f'{count} on {size[0]}×{size[1]} pixels'


def _difference_of_ground(
    model: Model, graph: Segmentor, there: OnnxModel, size: tuple[int, int], tolerance: float
) -> tuple[float, str]:
    """As :func:`_difference_of_objects`, of probabilities, and of the classes that pixels of the tile get."""
    tile = _picture(*size)
    shown = torch.from_numpy(there.shown(tile))
    with torch.no_grad():
        wanted = graph(shown)[0].numpy()
    error = float(np.abs(wanted - there.probabilities(tile)).max())
    if tuple(shown.shape[2:]) == tuple(int(side * model.factor + 0.5) for side in size):  # not filled up
        differ = model.mask(tile) != there.mask(tile)
        if differ.shape == wanted.shape[1:]:
            two = np.sort(wanted, 0)[-2:] if len(wanted) > 1 else np.concatenate([wanted, 1 - wanted])
            differ &= np.abs(two[1] - two[0]) > 2 * tolerance
            wrong = bool(differ.any())
        else:  # resized, so that it is not known which pixels are sure
            wrong = differ.mean() > (_UNSURE_FP16 if tolerance > _TOLERANCE else _UNSURE)
        error = np.inf if wrong else error
    return _tolerated(error, tolerance), f'the probabilities of {wanted.shape[1]}×{wanted.shape[2]} pixels'


def _tolerated(error: float, tolerance: float) -> float:
    if not error <= tolerance:
        raise ValueError(
            f'The graph differs from torch by {error:.2g} on a picture of noise, {tolerance:g} is allowed; nothing was '
            'written. Predict from the checkpoint.'
        )
    return error


def _apart(some: Detections, others: Detections, side: int, least: float, unit: float) -> np.ndarray:
    """How far each object is from the nearest of others: the larger of scores, in a unit, and of boxes as a share of a
    side.
    """
    found = []
    for box, score, label in zip(some.boxes, some.scores, some.labels):
        if score > least:
            same = others.labels == label
            apart = np.abs(others.boxes[same] - box).max(1, initial=0) / side
            found.append(np.maximum(np.abs(others.scores[same] - score) / unit, apart).min(initial=np.inf))
    return np.array(found, float)


def _picture(height: int, width: int) -> np.ndarray:
    """Noise, fine and coarse."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    fine = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.addWeighted(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0.7, fine, 0.3, 0)
