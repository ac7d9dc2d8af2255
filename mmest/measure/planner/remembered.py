"""Operators without data that have run before do not run again."""

from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from mmest.measure.memory.live import tensors_in


class RememberedResults(TorchDispatchMode):
    """Within it an operator on the meta device gives what it gave when it last ran on such shapes.

    The blocks of a backbone are alike, whatever the method, and torch derives the shapes of most operators in Python: a
    hundred times slower than it makes a tensor of a known shape. What returns a view of its arguments always runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self._answers: dict[Hashable, Callable[[tuple], Any] | None] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return self.result(func, args, kwargs or {})

    def result(self, func: torch._ops.OpOverload, args: tuple, kwargs: dict) -> Any:
        """What an operator gives for such arguments, for a mode that stands in front of this one: it is quicker."""
        asked = func, _facts(args), _facts(tuple(kwargs.items())) if kwargs else ()
        answer = self._answers.get(asked)
        if answer is not None:
            return answer(args)
        result = func(*args, **kwargs)
        if asked not in self._answers:
            self._answers[asked] = _answer(func, args, kwargs, result)
        return result


def _facts(value: Any) -> Hashable:
    """What an operator without data can know of an argument."""
    kind = type(value)
    if kind is int or kind is float or kind is bool:
        return kind, value  # 1, 1.0 and True are equal
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device
    if isinstance(value, (tuple, list)):
        return tuple([_facts(one) for one in value])
    return kind, value


def _answer(func: torch._ops.OpOverload, args: tuple, kwargs: dict, result: Any) -> Callable[[tuple], Any] | None:
    """What gives such a result again, from the arguments; None where it is a view of them, or has data."""
    if args and result is args[0]:
        return None if torch.Tag.inplace_view in func.tags or not result.is_meta else lambda args: args[0]
    results = result if isinstance(result, (tuple, list)) else [result]
    storages = {tensor.untyped_storage() for tensor in tensors_in((args, kwargs))}
    layouts = []
    for one in results:
        if one is not None and not (
            isinstance(one, Tensor) and _is_whole(one) and one.untyped_storage() not in storages
        ):
            return None
        layouts.append(None if one is None else (one.shape, one.stride(), one.dtype))
        storages.update(() if one is None else [one.untyped_storage()])

    def made(layout: tuple | None) -> Tensor | None:
        return layout and torch.empty_strided(*layout[:2], dtype=layout[2], device='meta')

    if results is not result:
        return lambda _: made(layouts[0])
    kind = type(result)
    return lambda _: kind(map(made, layouts))


def _is_whole(tensor: Tensor) -> bool:
    """Whether a tensor without data is all that its storage holds."""
    return tensor.is_meta and tensor.untyped_storage().nbytes() == tensor.nbytes
