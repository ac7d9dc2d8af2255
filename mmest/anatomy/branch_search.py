"""Which parts of a block are residual branches, and where each ends."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import nn

from mmest.anatomy.blocks import Block
from mmest.anatomy.graph import (
    identity_between,
    laid_out_anew,
    nodes_between,
    only_source,
    walk_back,
    way_without,
)
from mmest.anatomy.grids import Grid
from mmest.anatomy.layouts import has_channels
from mmest.anatomy.probe import ModuleCall


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


def has_attention(result: ModuleCall, source: Any) -> bool:
    """Whether a softmax of what comes from a graph node is on the way to a result."""
    return any(
        'Softmax' in node.name() or 'ScaledDotProduct' in node.name()
        for node in nodes_between(result.output_fn, source)
    )


def _deepest_inside(block: Block, name: str, calls: dict[str, ModuleCall], image: Grid) -> str | None:
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
        and has_channels(call.output, block.channels, image)
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


def end_of(backbone: nn.Module, block: Block, name: str, calls: dict[str, ModuleCall], image: Grid) -> str:
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


def own_branches(
    backbone: nn.Module, block: Block, calls: dict[str, ModuleCall], image: Grid
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
        end, strange = end_of(backbone, block, row[-1], calls, image), others - _held(backbone, row)
        own = (
            has_channels(calls[end].output, block.channels, image)
            and way_without(strange, calls[row[0]].source_fn, whole.source_fn, whole.source_fn)
            and way_without(strange, whole.output_fn, calls[end].output_fn, whole.source_fn)
        )
        return end if own else None

    rows = [(name,) for name in parts]
    found = {row: end for row in rows if (end := ends_as_branch(row))}
    left = [name for name, count in matrices.items() if count >= 1 and (name,) not in found and calls[name].times == 1]
    for row in _rows(left, calls, whole.source_fn):
        end = ends_as_branch(row) if sum(matrices[name] for name in row) >= 2 else None
        if end and not has_attention(calls[end], calls[row[0]].source_fn):
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
