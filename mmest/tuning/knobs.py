"""The arguments of tuning methods, checked in one place before a method is built."""

import difflib
import inspect
import math
import types
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Limits:
    """What an annotated number may be, both ends included.

    Attributes:
        low: the smallest.
        high: the largest.
        odd: whether it has to be odd.
    """

    low: float
    high: float
    odd: bool = False

    def hold(self, value: float) -> bool:
        """Whether a value lies within them."""
        return self.low <= value <= self.high and not (self.odd and value % 2 == 0)

    def __str__(self) -> str:
        return f'from {self.low:g} to {self.high:g}{", odd" if self.odd else ""}'


# Of a number that says no more: whole ones are widths, ranks and counts, of which 8192 would fill any memory.
_WHOLE, _NUMBER = Limits(1, 8192), Limits(0, 1e6)

#: Side of a filter.
KernelSize = Annotated[int, Limits(1, 63, odd=True)]
#: Factor on the learning rate from one block to the one before.
LayerDecay = Annotated[float, Limits(0.01, 1)]
#: Share of values that are dropped.
Dropout = Annotated[float, Limits(0, 0.99)]
#: By how much channels are divided, for each of several adapters.
Ratios = Annotated[Sequence[float], Limits(0.25, 8192)]
#: A factor without which nothing would be left.
Factor = Annotated[float, Limits(1e-6, 1e6)]


def check_knobs(method: type, knobs: dict[str, Any]) -> None:
    """Hold the arguments of a method against the annotations of its ``__init__``.

    ``int`` is a whole number from 1 to 8192, ``float`` a finite one from 0 to a million; ``Annotated[int,
    Limits(...)]`` says otherwise. What is not annotated passes.

    Raises:
        ValueError: the method has no such argument; one without a default is missing; one is of another type, or
            outside its limits.
    """
    signature = inspect.signature(method.__init__)
    names = [name for name in signature.parameters if name not in ('self', 'backbone')]
    takes_all = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())
    try:
        hints = get_type_hints(method.__init__, include_extras=True)
    except NameError:  # of somebody's own method, with names that are imported for type checkers only
        hints = {}
    for name, p in list(signature.parameters.items())[2:]:  # behind self and the backbone
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and name not in knobs:
            raise ValueError(
                f'{method.__name__} needs the argument "{name}", which has no default. Set '
                f'model.backbone.tuning.{name}, or give it a default.'
            )
    for name, value in knobs.items():
        if name not in names and not takes_all:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f'Did you mean {near[0]}?' if near else f'It takes {", ".join(names)}.'
            raise ValueError(f'{method.__name__} takes no argument "{name}". {hint}')
        if name in hints and not _fits(value, hints[name], None):
            raise ValueError(
                f'{method.__name__}: {name} should be {_said(hints[name], None)}, but it is {value!r}. Correct it in '
                f'model.backbone.tuning.{name}.'
            )


def _fits(value: Any, hint: Any, limits: Limits | None) -> bool:
    if get_origin(hint) is Annotated:
        inner, *more = get_args(hint)
        return _fits(value, inner, next((one for one in more if isinstance(one, Limits)), limits))
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, one, limits) for one in get_args(hint))
    if get_origin(hint) is Sequence:
        many = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
        return many and all(_fits(one, get_args(hint)[0], limits) for one in value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool) and (limits or _WHOLE).hold(value)
    if hint is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and math.isfinite(value) and (limits or _NUMBER).hold(value)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _said(hint: Any, limits: Limits | None) -> str:
    """An annotation in words."""
    if get_origin(hint) is Annotated:
        inner, *more = get_args(hint)
        return _said(inner, next((one for one in more if isinstance(one, Limits)), limits))
    if get_origin(hint) in (Union, types.UnionType):
        return ' or '.join(_said(one, limits) for one in get_args(hint))
    if get_origin(hint) is Sequence:
        return f'a list, each {_said(get_args(hint)[0], limits)}'
    words = {
        int: f'a whole number {limits or _WHOLE}',
        float: f'a number {limits or _NUMBER}',
        bool: 'True or False',
        str: 'a text',
        type(None): 'None',
    }
    return words.get(hint, getattr(hint, '__name__', str(hint)))
