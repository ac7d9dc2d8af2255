"""What the blocks of a backbone are made of: residual branches, and the weight layers in them.

Like the blocks, branches are found by what they do: a branch is what the identity passes by, an attention branch is one
that has a softmax in it. A softmax between the layers of a branch, as in the gate of a ConvNet's block, makes none.
Class names and attribute names play no part.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from mmest.anatomy.blocks import Anatomy, Block, is_norm
from mmest.anatomy.branch_search import end_of, has_attention, own_branches
from mmest.anatomy.graph import laid_out_anew, nodes_between, parameter_operands
from mmest.anatomy.layouts import channels_last_shape, is_channels_first
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


def _is_linear(backbone: nn.Module, row: tuple[str, ...]) -> bool:
    kinds = [type(module) for name in row for module in backbone.get_submodule(name).modules()]
    return nn.Linear in kinds and not any(issubclass(kind, nn.Conv2d) for kind in kinds)


def find_branches(backbone: nn.Module, anatomy: Anatomy) -> list[Branch]:
    """The residual branches of all blocks that feed an output, in the order in which they run.

    Runs one forward pass like :func:`mmest.anatomy.blocks.find_anatomy`.
    """
    used = anatomy.used
    prefixes = tuple(f'{block.name}.' for block in used)
    names = [name for name, _ in backbone.named_modules() if f'{name}.'.startswith(prefixes)]
    calls, _, image, _ = probe(backbone, names)
    order = {name: i for i, name in enumerate(calls)}
    branches: list[Branch] = []
    for i, block in enumerate(used):
        ends = own_branches(backbone, block, calls, image)
        attention = [row for row, end in ends.items() if has_attention(calls[end], calls[row[0]].source_fn)]
        if not attention:
            ends = {(block.name,): end_of(backbone, block, block.name, calls, image)}
        for row, end in sorted(ends.items(), key=lambda found: order[found[0][0]]):
            kind = CONV if not attention else ATTENTION if row in attention else MLP
            name, result = row[0], calls[end].output
            norm = _norm_before(backbone, block.name, name, result, calls)
            identity = _identity(block.name, norm or name, result, calls)
            source = calls[norm].output if norm else calls[identity].source
            linear = partial(_is_linear, backbone, row)
            first, source_first = (is_channels_first(x, block.channels, image, linear) for x in (result, source))
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
                    source is not None
                    and channels_last_shape(source, source_first) == channels_last_shape(result, first),
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
