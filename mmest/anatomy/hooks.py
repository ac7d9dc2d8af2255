"""What rides along in the forward passes of a backbone: hooks that belong to a name, and what they see in one pass.

Many threads may run one model at the same time, so nothing that a hook sees is kept on an object that they share: it
goes to the :class:`Pass` of its own thread.
"""

import copy
import itertools
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import nn

_attaching = threading.Lock()
_compiled = threading.RLock()
_keys = itertools.count()


class Override:
    """Functions around a method of one module, each called as ``function(inner, module, ...)`` with ``inner`` taking
    the same arguments from the module on.

    It holds its module weakly, so that a model leaves memory with its last reference, and a copy of the module gets an
    override of its own.

    Args:
        module: the module.
        name: of the method.
        functions: by key, the outermost first.
    """

    def __init__(self, module: nn.Module, name: str, functions: dict[int, Callable]) -> None:
        self._module = weakref.ref(module)
        self._name = name
        self.functions = functions

    def __call__(self, *args, **kwargs) -> Any:
        module = self._module()
        call = getattr(type(module), self._name)
        for function in reversed(self.functions.values()):
            call = partial(function, call)
        return call(module, *args, **kwargs)

    def __deepcopy__(self, memo: dict) -> 'Override':
        module = self._module()
        return Override(memo.get(id(module), module), self._name, copy.deepcopy(self.functions, memo))

    def __reduce__(self) -> tuple:
        return Override, (self._module(), self._name, self.functions)


def override(module: nn.Module, name: str, function: Callable) -> int:
    """Put a function around a method of one module, inside of those that are there.

    Returns:
        The key that it has among them.
    """
    own = module.__dict__.setdefault(name, Override(module, name, {}))
    key = next(_keys)
    own.functions[key] = function
    return key


def restore(module: nn.Module) -> None:
    """Take every override off a module, which has its class's methods again."""
    for name in [name for name, value in module.__dict__.items() if isinstance(value, Override)]:
        del module.__dict__[name]


def is_hooked(module: nn.Module) -> bool:
    """Whether an override or a hook of a :class:`Hooked` is on a module."""
    hooks = (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
    return any(isinstance(value, Override) for value in module.__dict__.values()) or any(
        isinstance(hook, partial) and isinstance(getattr(hook.func, '__self__', None), Hooked) for hook in hooks
    )


def _seen_to_run(module: nn.Module, args: tuple) -> None:
    """A hook that does nothing: torch's transformer layers in eval mode compute without calling their parts, but not
    where one of these has a hook.
    """


class Pass:
    """One forward pass of one backbone in one thread.

    Attributes:
        owner: whose hooks see it.
        outer: another pass that the same run of the backbone is for, or that it lies in.
        seen: what they have seen, by keys of their own.
        ran: the hooks that have run, by their number.
    """

    def __init__(self, owner: 'Hooked', outer: 'Pass | None' = None) -> None:
        self.owner = owner
        self.outer = outer
        self.seen: dict[Any, Any] = {}
        self.ran: set[int] = set()


_pass: ContextVar[Pass | None] = ContextVar('mmest_pass', default=None)


class _Place:
    """Where a hook belongs, and under which number the module that is there now holds it."""

    def __init__(self, name: str, kind: str, function: Callable, arguments: tuple) -> None:
        self.name = name
        self.parts = name.split('.') if name else []
        self.kind = kind
        self.function = function
        self.arguments = arguments
        self.key = -1

    def module(self, backbone: nn.Module) -> nn.Module | None:
        module = backbone
        for part in self.parts:
            module = None if module is None else module._modules.get(part)
        return module

    def held_by(self, module: nn.Module) -> bool:
        if self.kind == 'around':
            return self.key in getattr(module.__dict__.get('forward'), 'functions', ())
        return self.key in (module._forward_pre_hooks if self.kind == 'before' else module._forward_hooks)


class Hooked:
    """Something with hooks on modules of a backbone, which it knows by their names.

    A module that takes the place of another, as when SyncBN and BN are converted into each other, takes its hooks too.
    The functions are plain ones (``Class.method``), called with this object first, so that it refers neither to the
    backbone nor to itself: a deep copy of the model calls its own.
    """

    def __init__(self) -> None:
        self._hook_places: list[_Place] = []
        self._traced: Pass | None = None

    def hook_before(self, backbone: nn.Module, name: str, function: Callable, *arguments: Any) -> None:
        """Call ``function(self, *arguments, module, args, kwargs)`` before a module runs; None, or new (args, kwargs),
        is what it returns.
        """
        self._hook(backbone, _Place(name, 'before', function, arguments))

    def hook_after(self, backbone: nn.Module, name: str, function: Callable, *arguments: Any) -> None:
        """Call ``function(self, *arguments, module, args, kwargs, output)`` when a module has run; None, or the new
        output, is what it returns.
        """
        self._hook(backbone, _Place(name, 'after', function, arguments))

    def hook_around(self, backbone: nn.Module, name: str, function: Callable, *arguments: Any) -> None:
        """Call ``function(self, *arguments, inner, module, *args, **kwargs)`` in place of a module's forward method,
        which is ``inner(module, *args, **kwargs)``. Of several the first is the outermost.
        """
        self._hook(backbone, _Place(name, 'around', function, arguments))

    def _hook(self, backbone: nn.Module, place: _Place) -> None:
        self._hook_places.append(place)
        self._seat_hook(place.module(backbone), len(self._hook_places) - 1)

    def _seat_hook(self, module: nn.Module, i: int) -> None:
        run, kind = partial(self._run_hook, i), self._hook_places[i].kind
        if kind == 'around':
            self._hook_places[i].key = override(module, 'forward', run)
            if _seen_to_run not in module._forward_pre_hooks.values():
                module.register_forward_pre_hook(_seen_to_run)
        elif kind == 'before':
            self._hook_places[i].key = module.register_forward_pre_hook(run, with_kwargs=True).id
        else:
            self._hook_places[i].key = module.register_forward_hook(run, with_kwargs=True).id

    def release(self, backbone: nn.Module) -> None:
        """Take all hooks off a backbone, which then computes by itself."""
        for place in self._hook_places:
            module = place.module(backbone)
            if module is None or not place.held_by(module):
                continue
            if place.kind == 'around':
                module.__dict__['forward'].functions.pop(place.key)
                for key in [k for k, hook in module._forward_pre_hooks.items() if hook is _seen_to_run]:
                    module._forward_pre_hooks.pop(key)
            elif place.kind == 'before':
                module._forward_pre_hooks.pop(place.key)
                module._forward_pre_hooks_with_kwargs.pop(place.key, None)
            else:
                module._forward_hooks.pop(place.key)
                module._forward_hooks_with_kwargs.pop(place.key, None)
        self._hook_places = []

    def _run_hook(self, i: int, *args, **kwargs) -> Any:
        run = self.current_pass()
        if run is not None:
            run.ran.add(i)
        place = self._hook_places[i]
        return place.function(self, *place.arguments, *args, **kwargs)

    def current_pass(self) -> Pass | None:
        """The pass of this thread; None where the backbone is run by itself, or runs again in a backward pass."""
        if torch.compiler.is_dynamo_compiling():  # which cannot trace a context variable
            return self._traced
        run = _pass.get()
        # By their attributes: where modules are shared, torch.export puts proxies of them in place of modules.
        while run is not None and vars(run.owner) is not vars(self):
            run = run.outer
        return run

    @contextmanager
    def passing(self, backbone: nn.Module) -> Iterator[Pass]:
        """A forward pass of the backbone. Those of a compiled one take turns."""
        self._follow_hooks(backbone)
        compiled = backbone._compiled_call_impl is not None
        if compiled:
            _compiled.acquire()
        run = Pass(self, _pass.get())
        token = _pass.set(run)
        self._traced = run if compiled else None
        try:
            yield run
        finally:
            self._traced = None
            _pass.reset(token)
            if compiled:
                _compiled.release()

    def _follow_hooks(self, backbone: nn.Module) -> None:
        """Hook modules that others have put in the place of those that were hooked."""
        for i, place in enumerate(self._hook_places):
            module = place.module(backbone)
            if module is not None and not place.held_by(module):
                with _attaching:
                    if not place.held_by(module):  # no other thread was faster
                        self._seat_hook(module, i)

    def refuse_idle(self, run: Pass, backbone: nn.Module) -> None:
        """Raise if a hook did not run in a pass.

        Raises:
            RuntimeError: naming the first such module.
        """
        idle = [place.name for i, place in enumerate(self._hook_places) if i not in run.ran]
        if idle and getattr(self, '_is_replica', False):
            raise RuntimeError(
                f'{type(self).__name__} does not run in the replicas of nn.DataParallel. Take '
                'DistributedDataParallel: torchrun with mmest train, or one process per card.'
            )
        if idle:
            raise RuntimeError(
                f'{type(self).__name__}: {len(idle)} of its {len(self._hook_places)} places in '
                f'{type(backbone).__name__} did not run in this forward pass, first "{idle[0]}", so what was trained '
                'there would be missing: give the module back its place, or build the model anew. torch.compile around '
                'the model has this effect too; TunedBackbone(compile=True) compiles the frozen part.'
            )
