"""From a checkpoint to an ONNX graph that gives the same."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from mmest.backbones.image_channels import READ, channels_of
from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.files import write_bytes
from mmest.prediction.model import Model

from . import pooling, suppression
from .comparison import compare, sizes_to_compare
from .graph import Detector, Graph, Segmentor
from .installed import onnx, onnxruntime
from .metadata import metadata
from .own_sizes import refuse_attention_in_windows, refuse_other_sizes, refuse_windows

_SIDES = ('height', 'width')
_LARGEST = 2**31 - 2**24  # bytes of weights in a file of ONNX, less what its graph may take
_LOUD = ('torch.onnx', 'torch.onnx._internal.exporter', 'torch._subclasses', 'onnxscript', 'onnx_ir')


class Exported(NamedTuple):
    """What was written.

    Attributes:
        nbytes: size of the file.
        side: of the square pictures that it takes; of a tile, where it takes others too.
        multiple: of which height and width are multiples where it takes others too; else None.
        least: the least height and width.
        error: the largest difference to torch: of probabilities, or of scores and boxes as a share of the side.
        compared: what was compared, in words.
    """

    nbytes: int
    side: int
    multiple: int | None
    least: int
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
    if channels_of(model.network) != READ:
        raise ValueError(
            f'A graph takes RGB, of which the test pipeline of {checkpoint} makes another number of channels, '
            f'{channels_of(model.network)}. Predict from the checkpoint.'
        )
    for _, tuned in tuned_backbones(model.network):
        tuned.use_precision_of_file()  # graphs of narrow weights run in few places
    model.tile = tile or model.tile
    side = int(model.tile * model.factor + 0.5)
    if dynamic:
        refuse_attention_in_windows(model.network)
    graph: Graph
    if model.detects:
        graph = Detector(model.network, side, dynamic, side / model.tile)
    else:
        graph = Segmentor(model.network, side, dynamic)
        refuse_windows(model, graph)
    graph.eval()
    _refuse_what_no_file_holds(graph)
    model.tile = int(graph.side / model.factor) if dynamic else model.tile
    for size in sizes_to_compare(model, graph):
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
        compared = compare(model, graph, proto, fp16)
    except (runtime.Fail, runtime.RuntimeException, runtime.InvalidArgument, runtime.NotImplemented) as error:
        raise _unusable(
            f'The graph of {type(model.network).__name__} cannot run in onnxruntime', error, graph
        ) from error
    write_bytes(out, content)
    return Exported(
        len(content),
        graph.side,
        graph.multiple,
        graph.least,
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
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what ends it is raised too
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
