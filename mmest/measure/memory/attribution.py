"""What each live byte of a training step is for, and which part of the model it belongs to."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from .categories import (
    GRADIENTS,
    INPUTS,
    OPTIMIZER,
    SAVED_BACKBONE,
    SAVED_HEADS,
    SAVED_SIDE,
    TRANSIENT,
    WEIGHTS_FROZEN,
    WEIGHTS_TRAINABLE,
)
from .live import LiveStorage, LiveTensorCounter, tensors_in

_SAVED_BY = dict(backbone=SAVED_BACKBONE, side=SAVED_SIDE, heads=SAVED_HEADS)


def label_weights(counter: LiveTensorCounter, model: nn.Module) -> None:
    """Parameters by ``requires_grad``; a buffer is of the kind of the parameters beside it, and frozen where there are
    none.
    """
    for name, module in model.named_modules():
        own = list(module.parameters(recurse=False))
        trains = any(p.requires_grad for p in own)
        for buffer in module.buffers(recurse=False):
            counter.label(buffer, WEIGHTS_TRAINABLE if trains else WEIGHTS_FROZEN, module=name)
        for parameter in own:
            counter.label(parameter, WEIGHTS_TRAINABLE if parameter.requires_grad else WEIGHTS_FROZEN, module=name)


def label_survivors(counter: LiveTensorCounter, model: nn.Module, optim_wrapper: OptimWrapper) -> None:
    """What the warm-up left behind: optimizer states, and cached constants (anchors, say), which are inputs to the
    steps that follow.
    """
    owners = _owners(model)
    for parameter, state in optim_wrapper.optimizer.state.items():
        for tensor in tensors_in(state):
            counter.label(tensor, OPTIMIZER, module=owners.get(parameter))
    passing = (TRANSIENT, *_SAVED_BY.values())
    counter.relabel(lambda live: INPUTS if live.category in passing else live.category)


def _owners(model: nn.Module) -> dict[nn.Parameter, str]:
    return {parameter: name for name, module in model.named_modules() for parameter in module.parameters(recurse=False)}


@contextmanager
def attribution(counter: LiveTensorCounter, model: nn.Module, optim_wrapper: OptimWrapper) -> Iterator[None]:
    """Keep ``counter`` told of the phase, of the part that runs, of what is saved for backward and by whom, and of
    finished gradients.
    """
    owners = _owners(model)

    def pack(tensor: Tensor):
        saved_by = counter.part
        if saved_by in _SAVED_BY:
            counter.label(tensor, _SAVED_BY[saved_by], only_if=TRANSIENT, module=counter.module)
        # Without history: a saved result must not own its own graph.
        return tensor.detach(), saved_by, counter.module

    def unpack(packed) -> Tensor:
        # Its backward runs next.
        tensor, counter.part, counter.module = packed
        return tensor

    def held(live: LiveStorage) -> str:
        if live.category == TRANSIENT and live.part in _SAVED_BY:
            return _SAVED_BY[live.part]
        return live.category

    def backward(loss: Tensor, **kwargs) -> None:
        # Forward is over: what it made and still lives is kept for backward,
        # by whatever way (checkpointing keeps tensors out of pack's sight).
        counter.relabel(held)
        counter.phase = 'backward'
        type(optim_wrapper).backward(optim_wrapper, loss, **kwargs)

    def finish(parameter: nn.Parameter) -> None:
        counter.label(parameter.grad, GRADIENTS, module=owners.get(parameter))

    def start_optimizer(*_) -> None:
        counter.phase = counter.part = 'optimizer'
        counter.module = ''

    with ExitStack() as undo:
        for name, module in model.named_modules():
            for hook in _module_hooks(counter, module, name):
                undo.callback(hook.remove)
        for part, module in _parts(model).items():
            for hook in _part_hooks(counter, module, part):
                undo.callback(hook.remove)
        for parameter in model.parameters():
            if parameter.requires_grad:
                undo.callback(parameter.register_post_accumulate_grad_hook(finish).remove)
        undo.callback(optim_wrapper.optimizer.register_step_pre_hook(start_optimizer).remove)
        optim_wrapper.backward = backward
        undo.callback(delattr, optim_wrapper, 'backward')
        undo.enter_context(torch.autograd.graph.saved_tensors_hooks(pack, unpack))
        yield


def _parts(model: nn.Module) -> dict[str, nn.Module]:
    parts = {}
    backbone = getattr(model, 'backbone', None)
    if backbone is not None:
        if hasattr(backbone, 'backbone') and hasattr(backbone, 'method'):
            parts.update(backbone=backbone.backbone, side=backbone.method)
        else:
            parts.update(backbone=backbone)
    preprocessor = getattr(model, 'data_preprocessor', None)
    if preprocessor is not None:
        parts.update(inputs=preprocessor)
    return parts


def _module_hooks(counter: LiveTensorCounter, module: nn.Module, name: str):
    """While ``module`` runs forward, it is the module that runs."""
    outside = []

    def enter(*_) -> None:
        outside.append(counter.module)
        counter.module = name

    def leave(*_) -> None:
        counter.module = outside.pop()

    return (module.register_forward_pre_hook(enter), module.register_forward_hook(leave, always_call=True))


def _part_hooks(counter: LiveTensorCounter, module: nn.Module, part: str):
    """While ``module`` runs forward, ``part`` is what runs."""
    outside = []

    def enter(*_) -> None:
        outside.append(counter.part)
        counter.part = part

    def leave(*_) -> None:
        if part == 'inputs':
            counter.relabel(lambda live: INPUTS if live.part == part and live.category == TRANSIENT else live.category)
        counter.part = outside.pop()

    return (module.register_forward_pre_hook(enter), module.register_forward_hook(leave, always_call=True))
