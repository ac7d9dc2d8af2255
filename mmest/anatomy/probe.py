"""One small forward pass through a backbone, whose calls and autograd graph tell what the backbone is made of."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

import torch
import torch.utils.checkpoint
from torch import Tensor, nn

from mmest.anatomy.grids import Grid, is_scaled, sizes_in

# Not square, so that height, width and channels can be told apart; every common stride divides both.
PROBE_SIZE = (64, 96)
LARGE_PROBE_SIZE = (224, 320)  # for windows that must fit into the smallest map
USUAL_SIDES = (224, 256)  # of pretraining, for what takes no others and does not say which
_SIZES = ('img_size', 'pretrain_img_size', 'image_size')
_FEATURE_MAPS = 'feature_maps'  # of a BackboneOutput of transformers


@dataclass
class ModuleCall:
    """What a forward hook saw of one module: input, output, what may be the (H, W) of its tokens among all that it was
    given and returned, the graph nodes of input and output, and how often it was called.

    The nodes are kept apart from the tensors because an operation in place gives a tensor another node later.
    """

    source: Tensor | None
    output: Tensor | None
    sizes: list[Grid]
    source_fn: Any = None
    output_fn: Any = None
    times: int = 1


class Probe(NamedTuple):
    """A forward pass: calls by module name in the order in which they ended, outputs, and height, width and channels of
    the image.
    """

    calls: dict[str, ModuleCall]
    outputs: list[Tensor]
    image: tuple[int, int]
    image_channels: int


def find_tensor(value: Any) -> Tensor | None:
    """The tensor that a module takes or returns, be it alone, the first of a tuple, or in a list of earlier features
    (DenseNet); None if there is none.
    """
    if isinstance(value, (tuple, list)):
        found = [tensor for v in value if (tensor := find_tensor(v)) is not None]
        return next((tensor for tensor in found if any(tensor is v for v in value)), found[0] if found else None)
    return value if isinstance(value, Tensor) else None


def first_tensor(value: Any) -> Tensor:
    """The tensor that a block takes or returns, be it alone or the first of a tuple.

    Raises:
        TypeError: there is none.
    """
    found = find_tensor(value)
    if found is None:
        raise TypeError(f'A block should take and return a tensor, alone or first in a tuple, but got {type(value)}.')
    return found


def sizes_given(args: Sequence[Any], kwargs: Mapping[str, Any], output: Any = None) -> list[Grid]:
    """What may be the (H, W) of a block's tokens among its arguments, and what it returns beside them."""
    returned = output if isinstance(output, (tuple, list)) else ()
    return [*sizes_in(*args, *kwargs.values()), *sizes_in(*returned)]


def _call(function, *args, use_reentrant=None, preserve_rng_state=None, context_fn=None, **kwargs):
    return function(*args, **kwargs)


@contextmanager
def _without_recomputation() -> Iterator[None]:
    """Activation checkpointing (``with_cp``) hides the graph inside a block."""
    checkpoint = torch.utils.checkpoint.checkpoint
    torch.utils.checkpoint.checkpoint = _call
    try:
        yield
    finally:
        torch.utils.checkpoint.checkpoint = checkpoint


@contextmanager
def _all_trainable(backbone: nn.Module) -> Iterator[None]:
    """Eval mode and a graph over all parameters; flags, modes, and what a forward pass may leave in a module (rotary
    embeddings of the last image size, say) are put back afterwards.
    """
    flags = [(p, p.requires_grad) for p in backbone.parameters()]
    before = [(module, dict(module.__dict__), dict(module._buffers)) for module in backbone.modules()]
    backbone.eval()
    try:
        with torch.enable_grad():
            for p, _ in flags:
                p.requires_grad_(p.is_floating_point())
            yield
    finally:
        for p, flag in flags:
            p.requires_grad_(flag)
        for module, attributes, buffers in before:
            for name in module.__dict__.keys() - attributes.keys():
                del module.__dict__[name]
            module.__dict__.update(attributes)
            module._buffers.clear()
            module._buffers.update(buffers)


def _channels_of_stem(backbone: nn.Module) -> int:
    stem = next((m for m in backbone.modules() if isinstance(m, nn.Conv2d)), None)
    return stem.in_channels if stem else 3


def image_channels(backbone: nn.Module) -> int:
    """Channels of the images that a backbone takes.

    Raises:
        ValueError: its first convolution takes other than three, and no image of any size tried goes through it.
    """
    # Where these are not three, they may be those of pixels put side by side (CSPDarknet).
    return 3 if _channels_of_stem(backbone) == 3 else probe(backbone, ()).image_channels


def probe_shapes(backbone: nn.Module) -> list[tuple[int, int, int]]:
    """Channels, height and width of images to try."""
    channels = _channels_of_stem(backbone)
    shapes = [(channels, *PROBE_SIZE), (3, *PROBE_SIZE)]
    for module in backbone.modules():  # backbones with a fixed position table take only their own size
        for holder, attribute in product((module, getattr(module, 'config', None)), _SIZES):
            size = getattr(holder, attribute, None)
            size = (size, size) if isinstance(size, int) else size
            if isinstance(size, (tuple, list)) and len(size) == 2 and (channels, *size) not in shapes:
                shapes.append((channels, *size))
    return [*shapes, (channels, *LARGE_PROBE_SIZE), *((channels, side, side) for side in USUAL_SIDES)]


def _run(backbone: nn.Module, names: Sequence[str], shape: tuple[int, int, int]) -> Probe:
    calls: dict[str, ModuleCall] = {}

    def see(name, module, args, kwargs, output):
        source = find_tensor(args) if args else find_tensor(tuple(kwargs.values()))
        out = find_tensor(output)
        earlier = calls.pop(name, None)  # of a module that is called twice, the later call counts
        calls[name] = ModuleCall(
            source,
            out,
            sizes_given(args, kwargs, output),
            getattr(source, 'grad_fn', None),
            getattr(out, 'grad_fn', None),
            1 + (earlier.times if earlier else 0),
        )

    weight = next(p for p in backbone.parameters() if p.is_floating_point())
    image = torch.zeros(1, *shape, dtype=weight.dtype, device=weight.device)
    handles = [
        backbone.get_submodule(name).register_forward_hook(partial(see, name), with_kwargs=True) for name in names
    ]
    try:
        outputs = backbone(image)
    finally:
        for handle in handles:
            handle.remove()
    return Probe(calls, maps_of(outputs, image), shape[1:], shape[0])


def maps_of(outputs: Any, image: Tensor) -> list[Tensor]:
    """The maps that a backbone returned: one, or a list, a tuple or a dict of them, or the ``feature_maps`` of an
    output of transformers, whose hidden states and attentions are no maps.

    The image itself, which encoders of segmentation_models_pytorch return as well, is left out.
    """
    return [value for value in _values_of(outputs) if value is not image]


def places_of_image(outputs: Any, image: Tensor) -> list[int]:
    """Where the image itself is among what a backbone returned."""
    return [place for place, value in enumerate(_values_of(outputs)) if value is image]


def _values_of(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, Mapping) and _FEATURE_MAPS in outputs:
        return _values_of(outputs[_FEATURE_MAPS])
    return list(outputs.values() if isinstance(outputs, Mapping) else outputs)


def with_maps(outputs: Any, image: Tensor, maps: Sequence[Tensor], images_at: Sequence[int]) -> Any:
    """What a backbone returned, with other maps in the places of :func:`maps_of`, and an image in those of
    :func:`places_of_image`.
    """
    if isinstance(outputs, Tensor):
        return maps[0]
    left = iter(maps)
    if isinstance(outputs, Mapping):
        found = copy.copy(outputs) if isinstance(outputs, dict) else dict(outputs)
        if _FEATURE_MAPS in outputs:
            found[_FEATURE_MAPS] = with_maps(outputs[_FEATURE_MAPS], image, maps, images_at)
            return found
        for place, key in enumerate(outputs):
            found[key] = image if place in images_at else next(left)
        return found
    values = [image if place in images_at else next(left) for place, _ in enumerate(outputs)]
    if hasattr(outputs, '_make'):
        return outputs._make(values)
    return tuple(values) if isinstance(outputs, tuple) else values


def probe(backbone: nn.Module, names: Sequence[str]) -> Probe:
    """Run a backbone on a small blank image, in eval mode, with a graph over all its parameters.

    Parameters, buffers, flags and modes are left as they were.

    Args:
        backbone: the backbone.
        names: the modules whose calls are recorded.

    Raises:
        ValueError: it takes no image of any size tried, or returns something other than maps.
    """
    kind = type(backbone).__name__
    failure = None
    with _all_trainable(backbone), _without_recomputation():
        for shape in probe_shapes(backbone):
            try:
                found = _run(backbone, names, shape)
                break
            except Exception as error:  # the backbone's own complaint about this size; the next one may fit
                failure = failure or error
        else:
            raise ValueError(f'{kind}: a trial forward pass on a blank image failed: {failure}') from failure
    for k, output in enumerate(found.outputs):
        if not isinstance(output, Tensor) or output.ndim != 4:
            raise ValueError(
                f'{kind}: output {k} should be a B×C×H×W map, but it is a {type(output).__name__}'
                f'{" of shape " + str(tuple(output.shape)) if isinstance(output, Tensor) else ""}. '
                'Set the arguments of the backbone so that it returns maps alone, without class tokens.'
            )
        if is_scaled(output.shape[1:3], found.image) and not is_scaled(output.shape[2:], found.image):
            raise ValueError(
                f'{kind}: output {k} should be a B×C×H×W map, but for an image of {found.image[0]}×'
                f'{found.image[1]} it is {tuple(output.shape)}, channels last: necks and heads would take '
                "rows for channels. Set the arguments of the backbone so that channels come first (timm's: "
                "feature_cls='getter')."
            )
    return found
