"""Ways through the autograd graph of a forward pass: what lies between two nodes."""

from collections import deque
from collections.abc import Callable, Collection, Iterator
from typing import Any

# Nodes of operators that put values elsewhere and change none.
_OF_LAYOUT = (
    *('View', 'UnsafeView', 'ReshapeAlias', 'Alias', 'Permute', 'Transpose', 'Clone'),
    *('Roll', 'Slice', 'ConstantPad'),
)


def walk_back(start: Any, stops: Collection[Any]) -> tuple[set[Any], set[int]]:
    """The nodes among ``stops`` first met on the way back from a node, and ids of the parameters met before them."""
    met: set[Any] = set()
    parameters: set[int] = set()
    queue, seen = deque([start]), set()
    while queue:
        node = queue.popleft()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in stops:
            met.add(node)
        elif hasattr(node, 'variable'):
            parameters.add(id(node.variable))
        else:
            queue.extend(fn for fn, _ in node.next_functions)
    return met, parameters


def parameter_operands(node: Any, source: Any) -> Iterator[set[int]]:
    """Of each operand of an operation that is made of parameters alone and not of the features, which come from
    ``source``, the ids of these parameters: one as it is, or what a layer makes of its weight (a view, a standardised
    weight, which may have a gain).
    """
    for fn, _ in node.next_functions:
        met, parameters = walk_back(fn, (source,))
        if parameters and not met:
            yield parameters


def nodes_between(start: Any, goal: Any, stops: Callable[[Any], bool] = lambda node: False) -> Iterator[Any]:
    """The nodes on the way back from one to another, both included; no way leads on through where it stops."""
    queue, seen = [start], set()
    while queue:
        node = queue.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        if node is not goal and not stops(node):
            queue.extend(fn for fn, _ in node.next_functions)


def identity_between(start: Any, goal: Any) -> bool:
    """Whether a way without parameters leads from a node back to another."""
    return goal in set(nodes_between(start, goal, lambda node: any(parameter_operands(node, goal))))


def only_source(start: Any, stream: Any, goals: Collection[Any]) -> Any:
    """The first of the goals on the way back from a node, as long as each node on it takes one value that comes from
    the stream; None where a node takes several, or no goal comes.
    """
    while start not in goals:
        before = {fn for fn, _ in start.next_functions if stream in nodes_between(fn, stream)} if start else ()
        if start is stream or len(before) != 1:
            return None
        start = before.pop()
    return start


def laid_out_anew(start: Any, goal: Any) -> bool:
    """Whether what one node gives is what another gives in another layout: shifted, padded, cut into windows, or these
    put together.
    """
    while start is not goal:
        if start is None or not start.name().startswith(_OF_LAYOUT):
            return False
        start, _ = start.next_functions[0]
    return goal is not None


def way_without(weights: set[int], start: Any, goal: Any, stream: Any) -> bool:
    """Whether a way leads from a node back to another on which none of these weights acts on the features, which come
    from ``stream``. What is added to them or joined leaves them what they are.
    """

    def stops(node: Any) -> bool:
        if node is stream or node.name().startswith(('AddBackward', 'CatBackward')):
            return node is stream
        return any(weights & parameters for parameters in parameter_operands(node, stream))

    return goal in nodes_between(start, goal, stops)
