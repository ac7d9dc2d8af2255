"""Exact count of live tensor memory, operator by operator, on any device."""

import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
from torch.autograd.graph import _engine_run_backward
from torch.utils._python_dispatch import TorchDispatchMode

from .categories import CATEGORIES, INPUTS, TRANSIENT

_ADD = torch.ops.aten.add.Tensor

# Modules whose frames lie between an operator's caller and here.
_BETWEEN = (__name__, 'torch._dynamo', 'torch._compile')

# The commonest arguments of operators besides tensors, told by their type: isinstance takes several times as long.
_PLAIN = {type(None), bool, int, float, str, torch.dtype, torch.layout, torch.device}


def tensors_in(data: Any) -> Iterator[torch.Tensor]:
    """The tensors of nested containers: lists, tuples, dicts and what has ``items()`` (OpenMMLab's data elements) or a
    ``tensor`` (its boxes).
    """
    if isinstance(data, torch.Tensor):
        yield data
    elif isinstance(data, (list, tuple)):
        for value in data:
            kind = type(value)
            if kind is torch.Tensor:
                yield value
            elif kind not in _PLAIN:
                yield from tensors_in(value)
    elif type(data) in _PLAIN:
        return
    elif callable(getattr(data, 'items', None)):
        for _, value in data.items():
            yield from tensors_in(value)
    elif isinstance(getattr(data, 'tensor', None), torch.Tensor):
        yield data.tensor


def _called_by_autograd() -> bool:
    """Whether autograd's engine, and no Python code, called the operator that a mode is handling."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get('__name__', '').startswith(_BETWEEN):
        frame = frame.f_back
    # In threads of its own, which serve cards, the engine has no caller.
    return frame is None or frame.f_code is _engine_run_backward.__code__


@dataclass
class LiveStorage:
    """One storage that is alive: its size in bytes, its category, the part of the model that was running when it was
    first seen, and the module that it is counted for: that one, or the one that owns or saved it.
    """

    nbytes: int
    category: str
    part: str
    module: str
    reference: weakref.ref
    #: The sequence number of the autograd node that made it; None: the forward pass did.
    node: int | None


@dataclass(frozen=True)
class Peak:
    """The totals at the moment when most was alive.

    ``by_category`` and ``by_module`` (keys are pairs of module and category) each add up to ``total`` (bytes).
    ``phase`` and ``part`` are what the counter was told last, ``operator`` the ATen operator that had just returned.
    """

    total: int
    by_category: dict[str, int]
    by_module: dict[tuple[str, str], int]
    phase: str
    part: str
    operator: str


class LiveTensorCounter(TorchDispatchMode):
    """Counts the bytes of all tensor storages that are alive.

    Within the mode every ATen operator reports the tensors that it took and returned. Each storage is counted once,
    however many views it has, from the operator that made it until the storage itself is freed, which a weak reference
    reports. What an operator allocates and frees inside itself (workspaces) is not seen. Tensors that no operator of
    the mode made are counted from the first operator that takes them, or from :meth:`label`.

    Gradients that meet are added in place by autograd where nothing else holds one of them, but never within a mode.
    Such a sum counts once autograd has let go of its terms.

    Leaving the mode stops the search for new storages; the ones it knows are followed until they die, so the mode may
    be entered again.

    Args:
        device: the device whose storages count.
    """

    def __init__(self, device: torch.device | str = 'cpu') -> None:
        super().__init__()
        self.device_type = torch.device(device).type
        self.phase = ''
        self.part = ''
        self.module = ''
        self.operator = ''
        self.total = 0
        self.totals: Counter = Counter()
        self.peak = Peak(0, {}, {}, '', '', '')
        #: Called when an operator has returned.
        self.after_operator: Callable[[], None] = lambda: None
        #: What gives the result of an operator, from its arguments.
        self.run: Callable[[Callable, tuple, dict], Any] = lambda func, args, kwargs: func(*args, **kwargs)
        self._live: dict[int, LiveStorage] = {}
        self._node: int | None = None
        self._waits = False
        self._by_module: Counter = Counter()

    def label(self, tensor: torch.Tensor, category: str, only_if: str | None = None, module: str | None = None) -> None:
        """Say what the storage of ``tensor`` is, known so far or not.

        Args:
            tensor: any tensor; its whole storage is meant.
            category: one of :data:`CATEGORIES`.
            only_if: leave it as it is unless it is of this category now.
            module: count it for this module from now on.
        """
        live = self._see(tensor, category)
        if live is not None and only_if in (None, live.category):
            self._move(live, category, module)

    def relabel(self, rule: Callable[[LiveStorage], str]) -> None:
        """Give every live storage the category that ``rule`` returns."""
        for live in list(self._live.values()):
            self._move(live, rule(live), None)

    def restart_peak(self) -> None:
        """Forget the peak so far; the next begins with what is alive now."""
        self.operator = ''
        self._waits = False
        self._note_peak()

    def __exit__(self, *raised) -> None:
        self._settle()
        super().__exit__(*raised)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self._settle()
        node = torch._C._current_autograd_node()
        self._node = None if node is None else node._sequence_nr()
        for tensor in tensors_in((*args, *kwargs.values())):
            self._see(tensor, INPUTS)
        result = self.run(func, args, kwargs)
        self.operator = str(func)
        self._waits = func is _ADD and not kwargs and self._is_sum_of_gradients(*args)
        for tensor in tensors_in(result):
            self._see(tensor, TRANSIENT)
        if not self._waits:
            self.after_operator()
        return result

    def _is_sum_of_gradients(self, waited: Any, new: Any) -> bool:
        """Whether autograd adds the gradient of one node to that of an earlier one, and may do so in place."""
        if self._node is None or torch.is_grad_enabled() or not isinstance(new, torch.Tensor):
            return False
        live = self._live.get(id(waited.untyped_storage()))
        return (
            live is not None
            # A sum within the formula of one node makes a new tensor.
            and live.node != self._node
            and any(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in (waited, new))
            and _called_by_autograd()
        )

    def _settle(self) -> None:
        """Count the sum of two gradients, whose terms are gone unless something else holds them."""
        if self._waits:
            self._waits = False
            self._note_larger_peak()
            self.after_operator()

    def _see(self, tensor: torch.Tensor, category: str) -> LiveStorage | None:
        if tensor.device.type != self.device_type or tensor.layout is not torch.strided:
            return None
        # The storage's Python object lives exactly as long as the storage.
        storage = tensor.untyped_storage()
        key = id(storage)
        live = self._live.get(key)
        if live is None:
            reference = weakref.ref(storage, lambda _: self._forget(key))
            live = LiveStorage(0, category, self.part, self.module, reference, self._node)
            self._live[key] = live
        nbytes = storage.nbytes()
        if nbytes != live.nbytes:  # new, or resized since
            self._add(live, nbytes - live.nbytes)
            live.nbytes = nbytes
            self._note_larger_peak()
        return live

    def _forget(self, key: int) -> None:
        live = self._live.pop(key)
        self._add(live, -live.nbytes)

    def _move(self, live: LiveStorage, category: str, module: str | None) -> None:
        self._add(live, -live.nbytes)
        live.category = category
        live.module = live.module if module is None else module
        self._add(live, live.nbytes)

    def _add(self, live: LiveStorage, nbytes: int) -> None:
        self.totals[live.category] += nbytes
        self._by_module[live.module, live.category] += nbytes
        self.total += nbytes

    def _note_larger_peak(self) -> None:
        if self.total > self.peak.total and not self._waits:
            self._note_peak()

    def _note_peak(self) -> None:
        by_category = {name: self.totals[name] for name in CATEGORIES}
        self.peak = Peak(self.total, by_category, dict(self._by_module), self.phase, self.part, self.operator)
