"""What the blocks of a backbone are made of: residual branches, and the weight layers in them.

Like the blocks, branches are found by what they do: a branch is what the identity passes by, an attention branch is one
that has a softmax in it. A softmax between the layers of a branch, as in the gate of a ConvNet's block, makes none.
Class names and attribute names play no part.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from mmest.anatomy.blocks import Anatomy, Block, is_norm
from mmest.anatomy.graph import (
    identity_between,
    laid_out_anew,
    nodes_between,
    only_source,
    parameter_operands,
    walk_back,
    way_without,
)
from mmest.anatomy.grids import is_scaled
from mmest.anatomy.probe import ModuleCall, probe

ATTENTION, MLP, CONV = 'attention', 'mlp', 'conv'


@dataclass(frozen=True)
class Weight:
    """The weight of a linear or convolution layer of a branch.

    Attributes:
        name: parameter name inside the backbone; ``in_proj_weight`` for the queries, keys and values of
            ``nn.MultiheadAttention``.
        layer: the module that holds it.
        called: whether that module is called; some attention modules use the weight of a layer without calling it.
        is_output: whether it is the branch's output projection: no other weight lies behind it.
    """

    name: str
    layer: str
    called: bool
    is_output: bool


@dataclass(frozen=True)
class Branch:
    """One residual branch of a block.

    Attributes:
        block: index of the block.
        kind: ``attention`` or ``mlp`` in transformer blocks; ``conv`` for blocks that are one branch as a whole.
        name: the module that takes the branch's input; of an MLP in several modules the first.
        norm: the normalisation layer whose output that input is, or is cut out of (windows), if there is one.
        identity: the module whose input is the map in front of the branch: the norm, the branch itself, or, where a
            block cuts windows out of its own input (Swin V2), the block.
        end: the module whose output is the branch's result, before it is added to the identity; where a branch works in
            windows, a module behind them that gets the map that they are put together to (drop path, a norm).
        channels: channels C of the result.
        channels_first: whether the result is B×C×H×W; else it is B×L×C or B×H×W×C.
        input_channels_first: the same of its input. ConvNeXt's branch takes B×C×H×W and gives B×H×W×C.
        keeps_shape: whether input and result have the same shape, but for the layout.
        in_windows: whether the result comes in parts (windows), which the block puts together where no module sees it.
        takes_windows: whether the input does, which the block cuts out of a map that no module sees.
        weights: the weights of its layers.
        scale: the block's own parameter by which the block multiplies the result of an attention or MLP branch (BEiT's
            layer scale), by its name in the block, if there is one. What the identity is added to is then the product.
    """

    block: int
    kind: str
    name: str
    norm: str | None
    identity: str
    end: str
    channels: int
    channels_first: bool
    input_channels_first: bool
    keeps_shape: bool
    in_windows: bool
    takes_windows: bool
    weights: tuple[Weight, ...]
    scale: str | None = None


def _is_matrix(p: nn.Parameter) -> bool:
    return p.numel() > max(p.shape, default=1)  # a layer scale of C×1×1 is none


def _matrices(module: nn.Module) -> int:
    return sum(map(_is_matrix, module.parameters()))


def _parts(backbone: nn.Module, name: str, calls: dict[str, ModuleCall]) -> Iterator[str]:
    """Names of the children of a module that were called, those of lists (which are not called) among them."""
    for child, module in backbone.get_submodule(name).named_children():
        full = f'{name}.{child}'
        if isinstance(module, (nn.ModuleList, nn.ModuleDict)):
            yield from _parts(backbone, full, calls)
        elif full in calls and calls[full].output is not None:
            yield full


def _has_attention(result: ModuleCall, source: Any) -> bool:
    return any(
        'Softmax' in node.name() or 'ScaledDotProduct' in node.name()
        for node in nodes_between(result.output_fn, source)
    )


def _is_channels_first(x: Tensor | None, channels: int, image: tuple[int, int]) -> bool:
    if x is None or x.ndim != 4 or not is_scaled(x.shape[2:], image):
        return False
    return x.shape[1] == channels or x.shape[3] != channels  # the input of a block may have other channels


def _last(x: Tensor, first: bool) -> tuple[int, ...]:
    """The shape with channels last."""
    return (x.shape[0], *x.shape[2:], x.shape[1]) if first else tuple(x.shape)


def _has_channels(x: Tensor, channels: int, image: tuple[int, int]) -> bool:
    return _last(x, _is_channels_first(x, channels, image))[-1] == channels


def _deepest_inside(block: Block, name: str, calls: dict[str, ModuleCall], image: tuple[int, int]) -> str | None:
    """The module inside a branch that has the most parameters between the identity and its output of the branch's size,
    the last of them if several have.
    """
    stream, size = calls[block.name].source_fn, calls[name].output.numel()
    found = [
        (len(walk_back(call.output_fn, (stream,))[1]), i, other)
        for i, (other, call) in enumerate(calls.items())
        if other.startswith(f'{name}.')
        and call.times == 1
        and call.output is not None
        and call.output.numel() == size
        and _has_channels(call.output, block.channels, image)
        and not identity_between(call.output_fn, stream)
    ]
    return max(found)[2] if found else None


def _puts_together(part: ModuleCall, end: ModuleCall, block: ModuleCall) -> bool:
    """Whether a part of a block takes, whole, what another gives in windows."""
    return (
        part.source is not None
        and part.source.numel() == block.output.numel()
        and laid_out_anew(part.source_fn, end.output_fn)
    )


def _end(backbone: nn.Module, block: Block, name: str, calls: dict[str, ModuleCall], image: tuple[int, int]) -> str:
    """The module whose output is the result of a branch, before anything is added to it: inside the branch, if it adds
    the identity by itself, else the branch, followed through layer scale, dropout, drop path and, in blocks that
    normalise what a branch gives (Swin V2), that norm.
    """
    if name == block.name or identity_between(calls[name].output_fn, calls[block.name].source_fn):
        return _deepest_inside(block, name, calls, image) or name
    end, parts = name, [part for part in _parts(backbone, block.name, calls) if calls[part].times == 1]
    while True:
        behind = [
            part
            for part in parts
            if part != name
            and _matrices(backbone.get_submodule(part)) == 0
            and (calls[part].source is calls[end].output or _puts_together(calls[part], calls[end], calls[block.name]))
        ]
        if not behind:
            return end
        end = behind[0]
        parts.remove(end)


def _own_branches(
    backbone: nn.Module, block: Block, calls: dict[str, ModuleCall], image: tuple[int, int]
) -> dict[tuple[str, ...], str]:
    """The parts of a block that are branches of their own, or rows of parts that together are one, each with its end,
    if it is a transformer's. A part with another layer of the block in front of it or behind it, or with other
    channels, lies inside a branch.
    """
    called, whole = set(_parts(backbone, block.name, calls)), calls[block.name]
    matrices = {name: _matrices(backbone.get_submodule(name)) for name in calls if name in called}
    parts = [name for name, count in matrices.items() if count >= 2]
    weights = {id(p) for p in backbone.get_submodule(block.name).parameters() if _is_matrix(p)}
    others = weights - _held(backbone, parts)

    def ends_as_branch(row: tuple[str, ...]) -> str | None:
        end, strange = _end(backbone, block, row[-1], calls, image), others - _held(backbone, row)
        own = (
            _has_channels(calls[end].output, block.channels, image)
            and way_without(strange, calls[row[0]].source_fn, whole.source_fn, whole.source_fn)
            and way_without(strange, whole.output_fn, calls[end].output_fn, whole.source_fn)
        )
        return end if own else None

    rows = [(name,) for name in parts]
    found = {row: end for row in rows if (end := ends_as_branch(row))}
    left = [name for name, count in matrices.items() if count >= 1 and (name,) not in found and calls[name].times == 1]
    for row in _rows(left, calls, whole.source_fn):
        end = ends_as_branch(row) if sum(matrices[name] for name in row) >= 2 else None
        if end and not _has_attention(calls[end], calls[row[0]].source_fn):
            found[row] = end
    return found


def _held(backbone: nn.Module, names: Iterable[str]) -> set[int]:
    return {id(p) for name in names for p in backbone.get_submodule(name).parameters()}


def _rows(names: Sequence[str], calls: dict[str, ModuleCall], stream: Any) -> Iterator[tuple[str, ...]]:
    """Modules of which each takes what the one before gives, and nothing else of the features: the two halves of an MLP
    that are no module together.
    """
    givers = {calls[name].output_fn: name for name in names}
    before = {name: givers.get(only_source(calls[name].source_fn, stream, givers)) for name in names}
    for last in set(names) - set(before.values()):
        row = [last]
        while (name := before[row[0]]) is not None and name not in row:
            row.insert(0, name)
        if len(row) > 1:
            yield tuple(row)


def _scale(backbone: nn.Module, block: Block, end: str, calls: dict[str, ModuleCall]) -> str | None:
    """The block's own vector, or its one value, that multiplies the result of a branch, in any layout, and nothing
    else.
    """
    own = backbone.get_submodule(block.name).named_parameters(recurse=False)
    fitting = {id(p): name for name, p in own if p.numel() in (1, block.channels)}
    if not fitting:
        return None
    stream, result = calls[block.name].source_fn, calls[end].output_fn
    nodes = [
        node for node in nodes_between(calls[block.name].output_fn, stream) if stream in nodes_between(node, stream)
    ]
    taken = {node: [p for parameters in parameter_operands(node, stream) for p in parameters] for node in nodes}
    while result.name().startswith(('View', 'UnsafeView', 'Transpose', 'Permute')) or result is calls[end].output_fn:
        behind = [node for node in nodes if any(fn is result for fn, _ in node.next_functions)]
        if len(behind) != 1:
            return None
        result = behind[0]
    alone = [p for p in taken[result] if sum(p in parameters for parameters in taken.values()) == 1]
    return fitting.get(alone[0]) if result.name().startswith('Mul') and alone == taken[result] != [] else None


def _norm_before(
    backbone: nn.Module, block: str, name: str, result: Tensor, calls: dict[str, ModuleCall]
) -> str | None:
    """The norm that gives a branch its input, as it is, or laid out anew where the branch's result lies as before."""
    source = calls[name]
    for other, call in calls.items():
        if (
            other.startswith(f'{block}.')
            and not other.startswith(f'{name}.')
            and call.output is not None
            and is_norm(backbone.get_submodule(other))
            and (
                call.output is source.source
                or (call.output.shape == result.shape and laid_out_anew(source.source_fn, call.output_fn))
            )
        ):
            return other
    return None


def _identity(block: str, first: str, result: Tensor, calls: dict[str, ModuleCall]) -> str:
    """The first module of a branch, or the block, if the branch takes windows that are cut out of the block's input."""
    whole, source = calls[block], calls[first]
    cut = (
        source.source is not None
        and whole.source is not None
        and source.source.shape != result.shape == whole.source.shape
        and laid_out_anew(source.source_fn, whole.source_fn)
    )
    return block if cut else first


def _weights(backbone: nn.Module, row: tuple[str, ...], end: str, calls: dict[str, ModuleCall]) -> tuple[Weight, ...]:
    source, result = calls[row[0]].source_fn, calls[end].output_fn
    parts = [(name, backbone.get_submodule(name)) for name in row]
    # The gain of a standardised weight has as many dimensions, but one value for each output.
    matrices = {id(p) for _, part in parts for p in part.parameters() if p.ndim >= 2 and p.numel() > len(p)}

    def taken(node: Any) -> set[int]:
        operands = (matrices & parameters for parameters in parameter_operands(node, source))
        return {p for weights in operands if len(weights) == 1 for p in weights}

    used = {p for node in nodes_between(result, source) for p in taken(node) if source in nodes_between(node, source)}
    last = {p for node in nodes_between(result, source, lambda node: bool(taken(node))) for p in taken(node)}
    weights = []
    for layer, module in (own for name, part in parts for own in part.named_modules(prefix=name)):
        attribute = 'in_proj_weight' if isinstance(module, nn.MultiheadAttention) else 'weight'
        p = getattr(module, attribute, None)
        if not isinstance(module, (nn.Linear, nn.Conv2d, nn.MultiheadAttention)) or id(p) not in used:
            continue
        # Tables of positions go through layers too, but not the features.
        if layer in calls and source not in nodes_between(calls[layer].output_fn, source):
            continue
        called = layer in calls and attribute == 'weight'
        # Those of layers that are never called are changed by way of the branch's name.
        if called or f'{layer}.'.startswith(f'{row[0]}.'):
            weights.append(Weight(f'{layer}.{attribute}', layer, called, id(p) in last))
    return tuple(weights)


def find_branches(backbone: nn.Module, anatomy: Anatomy) -> list[Branch]:
    """The residual branches of all blocks that feed an output, in the order in which they run.

    Runs one forward pass like :func:`mmest.anatomy.blocks.find_anatomy`.
    """
    used = anatomy.blocks[: max(anatomy.feeding) + 1]
    prefixes = tuple(f'{block.name}.' for block in used)
    names = [name for name, _ in backbone.named_modules() if f'{name}.'.startswith(prefixes)]
    calls, _, image, _ = probe(backbone, names)
    order = {name: i for i, name in enumerate(calls)}
    branches: list[Branch] = []
    for i, block in enumerate(used):
        ends = _own_branches(backbone, block, calls, image)
        attention = [row for row, end in ends.items() if _has_attention(calls[end], calls[row[0]].source_fn)]
        if not attention:
            ends = {(block.name,): _end(backbone, block, block.name, calls, image)}
        for row, end in sorted(ends.items(), key=lambda found: order[found[0][0]]):
            kind = CONV if not attention else ATTENTION if row in attention else MLP
            name, result = row[0], calls[end].output
            norm = _norm_before(backbone, block.name, name, result, calls)
            identity = _identity(block.name, norm or name, result, calls)
            source = calls[norm].output if norm else calls[identity].source
            first, source_first = (_is_channels_first(x, block.channels, image) for x in (result, source))
            branches.append(
                Branch(
                    i,
                    kind,
                    name,
                    norm,
                    identity,
                    end,
                    block.channels,
                    first,
                    source_first,
                    source is not None and _last(source, source_first) == _last(result, first),
                    len(result) > 1 or result.numel() != calls[block.name].output.numel(),
                    source is not None and len(source) > 1,
                    _weights(backbone, row, end, calls),
                    _scale(backbone, block, end, calls) if attention else None,
                )
            )
    return branches


def refuse_windows(branch: Branch, method: str, input_too: bool = False) -> None:
    """For methods that see the result of a branch, or its input too, as a map.

    Raises:
        ValueError: it is cut into windows.
    """
    if branch.in_windows or (input_too and branch.takes_windows):
        raise ValueError(
            f'{method} looks at maps, but "{branch.name}" works on windows of one, which the block cuts and puts '
            'together where no module sees the map. Use a method that acts on each position, such as Adapter or LoRA, '
            'or one beside the backbone, such as EST.'
        )
