"""From a checkpoint to an ONNX graph that gives the same."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.files import write_bytes
from mmest.prediction.model import Detections, Model

from . import pooling, suppression
from .graph import Detector, Graph, Segmentor
from .installed import onnx, onnxruntime
from .metadata import metadata
from .model import OnnxModel
from .own_sizes import refuse_attention_in_windows, refuse_other_sizes, refuse_windows

# Of scores and probabilities, and of boxes as a share of the side.
_TOLERANCE, _TOLERANCE_FP16 = 1e-4, 2e-2
_TURNED_FP16 = 0.2  # of the objects
_SIDES = ('height', 'width')
_LARGEST = 2**31 - 2**24  # bytes of weights in a file of ONNX, less what its graph may take
_LOUD = ('torch.onnx', 'torch.onnx._internal.exporter', 'onnxscript', 'onnx_ir')


class Exported(NamedTuple):
    """What was written.

    Attributes:
        nbytes: size of the file.
        side: of the square pictures that it takes; of a tile, where it takes others too.
        multiple: of which height and width are multiples where it takes others too; else None.
        error: the largest difference to torch: of probabilities, or of scores and boxes as a share of the side.
        compared: what was compared, in words.
    """

    nbytes: int
    side: int
    multiple: int | None
    error: float
    compared: str


def export_onnx(
    checkpoint: Path,
    out: Path,
    config: Path | None = None,
    tile: int | None = None,
    fp16: bool = False,
    resolution: float | None = None,
    dynamic: bool = False,
) -> Exported:
    """Write a segmentor or a one-stage detector as one graph, checked in onnxruntime against torch.

    Args:
        checkpoint: what training or ``mmest export`` wrote.
        out: the file to write.
        config: its config (default: the copy inside the checkpoint).
        tile: side of a tile in pixels of the image (default: what training showed).
        fp16: compute in half precision. Boxes are decoded in full.
        resolution: ground that a pixel shows, in centimetres, for the metadata.
        dynamic: take pictures of other sizes than the tile's too.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a package is missing; the checkpoint cannot be used; the model is of another kind, has operators
            that ONNX lacks, or is of one size only; the graph gives something else than torch.
    """
    package = onnx()
    runtime = onnxruntime().capi.onnxruntime_pybind11_state
    model = Model(checkpoint, config, 'cpu')
    for _, tuned in tuned_backbones(model.network):
        tuned.use_precision_of_file()  # graphs of narrow weights run in few places
    model.tile = tile or model.tile
    side = int(model.tile * model.factor + 0.5)
    refuse_windows(model, side, dynamic)
    if dynamic:
        refuse_attention_in_windows(model.network)
    graph = (Detector if model.detects else Segmentor)(model.network, side, dynamic).eval()
    _refuse_what_no_file_holds(graph)
    model.tile = int(graph.side / model.factor) if dynamic else model.tile
    for size in _sizes(model, graph):
        refuse_other_sizes(model, size, dynamic)
    proto = _written(graph)
    for name, text in metadata(model, graph, resolution).items():
        entry = proto.metadata_props.add()
        entry.key, entry.value = name, text
    if fp16:
        proto = _in_half_precision(proto)
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.input, *proto.graph.output):
        del part.metadata_props[:]  # lines of code and paths of this machine
    package.checker.check_model(proto)
    content = proto.SerializeToString()
    try:
        compared = _compared(model, graph, OnnxModel(content, 'cpu'), _TOLERANCE_FP16 if fp16 else _TOLERANCE)
    except (runtime.Fail, runtime.RuntimeException, runtime.InvalidArgument, runtime.NotImplemented) as error:
        raise _unusable(
            f'The graph of {type(model.network).__name__} cannot run in onnxruntime', error, graph
        ) from error
    write_bytes(out, content)
    return Exported(
        len(content),
        graph.side,
        graph.multiple,
        max(error for error, _ in compared),
        ', '.join(words for _, words in compared),
    )


def _refuse_what_no_file_holds(graph: Graph) -> None:
    held = sum(p.nbytes for name, p in graph.named_parameters() if 'auxiliary_head' not in name)
    if held > _LARGEST:
        raise ValueError(
            f'The weights of {type(graph.model).__name__} take {held / 2**30:.1f} GiB in float32, and an ONNX graph '
            'holds 2 GiB at most. Predict from the checkpoint.'
        )


def _written(graph: Graph):
    size, shapes, translation = (graph.side, graph.side), None, suppression.translation()
    if graph.multiple:
        # No two numbers alike, so that none is taken for another.
        size = graph.least + graph.multiple, graph.least + 2 * graph.multiple
        steps = [torch.export.Dim(name, min=graph.least // graph.multiple) for name in _SIDES]
        translation |= pooling.translation()
        shapes = ({2: graph.multiple * steps[0], 3: graph.multiple * steps[1]},)
    picture = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    try:
        with torch.no_grad(), _quiet():
            program = torch.export.export(graph, (picture,), strict=False, dynamic_shapes=shapes)
            made = torch.onnx.export(
                program,
                (),
                dynamo=True,
                verbose=False,
                input_names=['image'],
                output_names=[graph.output],
                opset_version=18,
                custom_translation_table=translation,
            )
            return _with_named_sides(made.model_proto)
    except Exception as error:  # of whatever model
        head = getattr(graph.model, 'bbox_head' if isinstance(graph, Detector) else 'decode_head')
        what = (
            f'{type(graph.model).__name__} with {type(head).__name__} cannot be written as an ONNX graph: what it '
            f'computes has no fixed form, or has none yet in torch {torch.__version__}, which says'
        )
        raise _unusable(what, error, graph) from error


def _unusable(what: str, error: Exception, graph: Graph) -> ValueError:
    """What happened, what another library says of it first of all, and the way out."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = next((line.strip(' -') for line in lines if line.strip().startswith('- ')), lines[0])
    way_out = 'Predict from the checkpoint.'
    if graph.multiple:
        way_out = 'Perhaps it has a size of its own: leave --dynamic out, and it takes tiles of one size (--tile).'
    return ValueError(f'{what}: {reason.rstrip(".")}.\n{way_out}')


def _with_named_sides(proto):
    """Sides of dynamic size by their names, which the exporter gives up where they are multiples of a number."""
    for value in (*proto.graph.input, *proto.graph.output):
        for dim, name in zip(value.type.tensor_type.shape.dim[2:], _SIDES):
            if dim.dim_param:
                dim.dim_param = name
    return proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters tell of operators that this model does not have, and of graphs that they cannot finish."""
    levels = {name: logging.getLogger(name).level for name in _LOUD}
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        unread = io.StringIO()
        with contextlib.redirect_stdout(unread), contextlib.redirect_stderr(unread), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _in_half_precision(proto):
    """The network in fp16. Pictures are normalised and boxes decoded in fp32: fp16 has no half pixels beyond 1024."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel as Sorted

    around = [node.name for node in proto.graph.node if not _is_of_the_network(node)]
    made = Sorted(convert_float_to_float16(proto, keep_io_types=True, node_block_list=around))
    made.topological_sort()
    return made.model


def _is_of_the_network(node) -> bool:
    """By the modules that the exporter says it is of; what :class:`Graph` itself does is of none."""
    scopes = {entry.key: entry.value for entry in node.metadata_props}.get('pkg.torch.onnx.name_scopes', '')
    return "'model" in scopes


def _sizes(model: Model, graph: Graph) -> list[tuple[int, int]]:
    """Height and width of the pictures on which a graph is compared: a tile, and with one of dynamic size another."""
    sizes = [(model.tile, model.tile)]
    if graph.multiple:  # the least, but not that which the graph was made of
        other = graph.least, graph.least + graph.multiple
        sizes.append((int(other[0] / model.factor), int(other[1] / model.factor)))
    return sizes


def _compared(model: Model, graph: Graph, there: OnnxModel, tolerance: float) -> list[tuple[float, str]]:
    """:func:`_difference` on each of :func:`_sizes`.

    Raises:
        ValueError: they differ by more than is tolerated.
    """
    return [_difference(model, graph, there, size, tolerance) for size in _sizes(model, graph)]


def _difference(
    model: Model, graph: Graph, there: OnnxModel, size: tuple[int, int], tolerance: float
) -> tuple[float, str]:
    """How far onnxruntime is from torch on a picture of a size, and what was compared.

    Raises:
        ValueError: farther than is tolerated.
    """
    tile = _picture(*size)
    if isinstance(graph, Detector):
        wanted, found = model.detect(tile), there.detect(tile)
        # What scores about as much as is needed may be left out by one and not by the other.
        least = max(
            [
                graph.score_thr,
                *(objects.scores.min() for objects in (wanted, found) if len(objects.scores) == graph.most),
            ]
        )
        least = float(least) + tolerance
        apart = np.concatenate([_apart(*pair, max(size), least) for pair in ((wanted, found), (found, wanted))])
        # Rounding to half precision may turn which of two boxes suppresses the other.
        turned = apart > tolerance
        if turned.size and turned.mean() <= (_TURNED_FP16 if tolerance > _TOLERANCE else 0.0):
            apart = apart[~turned]
        error = float(apart.max(initial=0))
        compared = f'{int((wanted.scores > least).sum())} objects on {size[0]}×{size[1]} pixels'
    else:
        shown = torch.from_numpy(there.shown(tile))
        with torch.no_grad():
            wanted = graph(shown)[0].numpy()
        error = float(np.abs(wanted - there.probabilities(tile)).max())
        compared = f'the probabilities of {wanted.shape[1]}×{wanted.shape[2]} pixels'
        two = np.sort(wanted, 0)[-2:] if len(wanted) > 1 else np.concatenate([wanted, 1 - wanted])
        sure = np.abs(two[1] - two[0]) > 2 * tolerance
        if sure.shape == tile.shape[:2] and (model.mask(tile) != there.mask(tile))[sure].any():
            error = np.inf
    if not error <= tolerance:
        raise ValueError(
            f'The graph differs from torch by {error:.2g} on a picture of noise, {tolerance:g} is allowed; nothing was '
            'written. Predict from the checkpoint.'
        )
    return error, compared


def _apart(some: Detections, others: Detections, side: int, least: float) -> np.ndarray:
    """How far each object is from the nearest of others: the larger of scores and of boxes as a share of a side."""
    found = []
    for box, score, label in zip(some.boxes, some.scores, some.labels):
        if score > least:
            same = others.labels == label
            apart = np.abs(others.boxes[same] - box).max(1, initial=0) / side
            found.append(np.maximum(np.abs(others.scores[same] - score), apart).min(initial=np.inf))
    return np.array(found, float)


def _picture(height: int, width: int) -> np.ndarray:
    """Noise, fine and coarse."""
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    fine = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.addWeighted(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), 0.7, fine, 0.3, 0)
