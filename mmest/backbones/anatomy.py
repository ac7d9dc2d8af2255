"""Where the blocks of a backbone are, and what its outputs are made of.

Nothing here knows a backbone by its class. Blocks are found by what they contain; channels, resolutions and the block
that feeds each output come from one small forward pass whose autograd graph is read.
"""
import math
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

import torch
from torch import Tensor, nn

# Not square, so that height, width and channels can be told apart; every common stride divides both.
PROBE_SIZE = (64, 96)
MAX_PREFIX_TOKENS = 16


@dataclass(frozen=True)
class Block:
    """One residual block of a backbone.

    Attributes:
        name: dotted module name inside the backbone.
        stage: index of the group of consecutive blocks of equal channels and resolution.
        channels: channels C of the block's output.
        width: channels at which the block works inside: below C for bottleneck blocks, C for all others.
        size: height and width of the output for an input of the probe's size.
        prefix_tokens: tokens in front of the H*W spatial ones (class or register tokens).
    """
    name: str
    stage: int
    channels: int
    width: int
    size: Tuple[int, int]
    prefix_tokens: int


@dataclass(frozen=True)
class Output:
    """One map that the backbone hands to the neck: its channels and the index of the block that it comes from."""
    channels: int
    block: int


@dataclass(frozen=True)
class Anatomy:
    """Blocks in the order in which they run, outputs in the order in which they are returned.

    ``output_norms`` names the modules that lie between a block and an output and feed no later block.
    """
    blocks: Tuple[Block, ...]
    outputs: Tuple[Output, ...]
    output_norms: Tuple[str, ...]


@dataclass
class BlockCall:
    """What a forward hook saw of one block: input, output, and the (H, W) it was given, if any."""
    source: Optional[Tensor]
    output: Tensor
    hw: Optional[Tuple[int, int]]


def first_tensor(value: Any) -> Optional[Tensor]:
    """The tensor that a block takes or returns, be it alone or the first of a tuple."""
    if isinstance(value, (tuple, list)):
        return next((v for v in value if isinstance(v, Tensor)), None)
    return value if isinstance(value, Tensor) else None


def spatial_shape(args: Sequence[Any], kwargs: Dict[str, Any]) -> Optional[Tuple[int, int]]:
    """The (H, W) that hierarchical transformers hand to their blocks beside the tokens, or None."""
    for value in (*args, *kwargs.values()):
        if isinstance(value, (tuple, list, torch.Size)) and len(value) == 2 and all(isinstance(v, int) for v in value):
            return int(value[0]), int(value[1])
    return None


def _weight_layers(module: nn.Module) -> List[nn.Module]:
    return [m for m in module.modules()
            if isinstance(getattr(m, 'weight', None), Tensor) and m.weight.ndim >= 2]


def _members(container: nn.Module) -> List[str]:
    """Names of the blocks that are direct members of a list: all its members with two weight layers or more, if they are
    of one class and none is a list itself. A position embedding among them does no harm."""
    if not isinstance(container, (nn.ModuleList, nn.Sequential)):
        return []
    heavy = {name: child for name, child in container.named_children() if len(_weight_layers(child)) >= 2}
    alike = len({type(child) for child in heavy.values()}) == 1
    nested = any(isinstance(child, (nn.ModuleList, nn.Sequential)) for child in heavy.values())
    return list(heavy) if alike and not nested else []


def _is_part_of_block(backbone: nn.Module, name: str, lists: Sequence[str]) -> bool:
    """Whether a list of one is a part of a block: one of several lists (attentions, ffns, norms) in a member of another
    list. A stage of depth one, in contrast, is the only list of its stage."""
    parent = name.rpartition('.')[0]
    if len(_members(backbone.get_submodule(name))) > 1 or parent.rpartition('.')[0] not in lists:
        return False
    siblings = backbone.get_submodule(parent).children()
    return sum(isinstance(m, (nn.ModuleList, nn.Sequential)) for m in siblings) > 1


def find_block_names(backbone: nn.Module) -> List[str]:
    """Names of the modules that are blocks: the like members, each with at least two weight layers, of the innermost
    lists of a backbone."""
    lists = [name for name, module in backbone.named_modules() if _members(module)]
    lists = [name for name in lists if not _is_part_of_block(backbone, name, lists)]
    innermost = [name for name in lists
                 if not any(other != name and other.startswith(f'{name}.' if name else '') for other in lists)]
    return [f'{name}.{member}' if name else member
            for name in innermost for member in _members(backbone.get_submodule(name))]


def _inner_width(block: nn.Module, channels: int) -> int:
    """Channels of the block's spatial (not depthwise) convolution; C where there is none."""
    widths = [m.out_channels for m in block.modules()
              if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1 and m.groups < m.out_channels]
    return min([channels, *widths])


def is_scaled(size: Sequence[int], image: Sequence[int]) -> bool:
    """Whether a H×W map can be an image of the given size, reduced by one stride for both sides."""
    low, high = [], []
    for small, large in zip(size, image):
        low.append(large / (small + 1))
        high.append(large / max(small - 1, 0.5))
    return max(low) < min(high) and all(s <= i for s, i in zip(size, image))


def token_grid(tokens: int, candidates: Sequence[Tuple[int, int]]) -> Optional[Tuple[int, int]]:
    """The (H, W) among the candidates that fits a number of tokens with the fewest prefix tokens over."""
    fitting = [(tokens - h * w, (h, w)) for h, w in candidates if 0 <= tokens - h * w <= MAX_PREFIX_TOKENS]
    return min(fitting)[1] if fitting else None


def map_shape(call: BlockCall, image: Tuple[int, int],
              output_sizes: Sequence[Tuple[int, int]]) -> Optional[Tuple[int, int, int]]:
    """(C, H, W) of a block's output: B×C×H×W, B×H×W×C, or B×L×C tokens. None if it is none of these."""
    shape = call.output.shape
    if len(shape) == 4:
        if is_scaled(shape[2:], image):
            return shape[1], shape[2], shape[3]
        return (shape[3], shape[1], shape[2]) if is_scaled(shape[1:3], image) else None
    if len(shape) == 3:
        candidates = [call.hw] if call.hw is not None else output_sizes
        grid = token_grid(shape[1], candidates)
        return None if grid is None else (shape[2], *grid)
    return None


@contextmanager
def _all_trainable(module: nn.Module) -> Iterator[None]:
    flags = [(p, p.requires_grad) for p in module.parameters()]
    training = module.training
    module.eval()
    try:
        with torch.enable_grad():
            for p, _ in flags:
                p.requires_grad_(p.is_floating_point())
            yield
    finally:
        for p, flag in flags:
            p.requires_grad_(flag)
        module.train(training)


def _probe_shapes(backbone: nn.Module) -> List[Tuple[int, int, int]]:
    """Channels, height and width of images to try."""
    stem = next((m for m in backbone.modules() if isinstance(m, nn.Conv2d)), None)
    channels = stem.in_channels if stem else 3
    shapes = [(channels, *PROBE_SIZE), (3, *PROBE_SIZE)]
    for attribute in ('img_size', 'pretrain_img_size'):  # backbones with a fixed position table take only their own
        size = getattr(backbone, attribute, None)
        if size is not None:
            shapes.append((channels, size, size) if isinstance(size, int) else (channels, *size))
    return shapes


def _run(backbone: nn.Module, names: Sequence[str], shape: Tuple[int, int, int]):
    calls: Dict[str, BlockCall] = {}

    def see(name, module, args, kwargs, output):
        calls[name] = BlockCall(first_tensor(args), first_tensor(output), spatial_shape(args, kwargs))

    weight = next(p for p in backbone.parameters() if p.is_floating_point())
    image = torch.zeros(1, *shape, dtype=weight.dtype, device=weight.device)
    handles = [backbone.get_submodule(name).register_forward_hook(partial(see, name), with_kwargs=True)
               for name in names]
    try:
        outputs = backbone(image)
    finally:
        for handle in handles:
            handle.remove()
    return calls, [outputs] if isinstance(outputs, Tensor) else list(outputs)


def _walk_back(start: Optional[Tensor], stops: Dict[Any, int]) -> Tuple[Set[int], Set[int]]:
    """Indices of the blocks first met on the way back from a tensor, and ids of the parameters met before them."""
    blocks: Set[int] = set()
    parameters: Set[int] = set()
    if start is None or start.grad_fn is None:
        return blocks, parameters
    queue, seen = deque([start.grad_fn]), set()
    while queue:
        node = queue.popleft()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in stops:
            blocks.add(stops[node])
        elif hasattr(node, 'variable'):
            parameters.add(id(node.variable))
        else:
            queue.extend(fn for fn, _ in node.next_functions)
    return blocks, parameters


def _describe_blocks(backbone, calls: Dict[str, BlockCall], outputs: List[Tensor],
                     size: Tuple[int, int]) -> List[Block]:
    output_sizes = [tuple(o.shape[-2:]) for o in outputs]
    blocks: List[Block] = []
    for name, call in calls.items():  # in the order of execution
        shape = None if call.output is None else map_shape(call, size, output_sizes)
        if shape is None:
            found = None if call.output is None else tuple(call.output.shape)
            raise ValueError(
                f'{type(backbone).__name__}: the output of block "{name}" should be a B×C×H×W map, a B×H×W×C map or '
                f'B×L×C tokens whose grid is known, but for an image of {size[0]}×{size[1]} it is {found}. This '
                'backbone cannot be tapped; use a method that needs no taps, such as Full or Frozen.')
        channels, grid = shape[0], shape[1:]
        tokens = call.output.shape[1] - math.prod(grid) if call.output.ndim == 3 else 0
        last = blocks[-1] if blocks else None
        same_stage = last is not None and (last.channels, last.size) == (channels, grid)
        stage = 0 if last is None else last.stage + (not same_stage)
        width = _inner_width(backbone.get_submodule(name), channels)
        blocks.append(Block(name, stage, channels, width, grid, tokens))
    return blocks


def _is_norm(module: nn.Module) -> bool:
    # GroupNorm, LayerNorm, BatchNorm and their subclasses share nothing but vectors as parameters and the word.
    return 'norm' in type(module).__name__.lower() and all(p.ndim == 1 for p in module.parameters(recurse=False))


def find_anatomy(backbone: nn.Module) -> Anatomy:
    """Find blocks, stages and outputs of any backbone.

    Runs one forward pass in eval mode on a small blank image; parameters, buffers and flags are left as they were.

    Raises:
        ValueError: no blocks were found, or what they return is not understood.
    """
    kind = type(backbone).__name__
    names = find_block_names(backbone)
    if not names:
        raise ValueError(
            f'{kind}: no blocks were found. A block is a member of an nn.ModuleList or nn.Sequential of modules of one '
            'class with at least two weight layers each. Use a method that needs no blocks, such as Full or Frozen.')
    with _all_trainable(backbone):
        failure = None
        for shape in _probe_shapes(backbone):
            try:
                calls, outputs = _run(backbone, names, shape)
                break
            except Exception as error:  # the backbone's own complaint about this size; the next one may fit
                failure = failure or error
        else:
            raise ValueError(f'{kind}: a trial forward pass on a blank image failed: {failure}') from failure
        for k, output in enumerate(outputs):
            if not isinstance(output, Tensor) or output.ndim != 4:
                raise ValueError(f'{kind}: output {k} should be a B×C×H×W map, but it is a {type(output).__name__}'
                                 f'{" of shape " + str(tuple(output.shape)) if isinstance(output, Tensor) else ""}. '
                                 'Set the arguments of the backbone so that it returns maps alone, without class tokens.')
        blocks = _describe_blocks(backbone, calls, outputs, shape[1:])
        order = [calls[b.name] for b in blocks]
        stops = {call.output.grad_fn: i for i, call in enumerate(order)}
        between: Set[int] = set()
        for call in order:
            between |= _walk_back(call.source, stops)[1]
        found, after = [], set()
        for k, output in enumerate(outputs):
            sources, parameters = _walk_back(output, stops)
            if not sources:
                raise ValueError(f'{kind}: output {k} depends on no block, so a side network cannot reach it.')
            found.append(Output(output.shape[1], max(sources)))
            after |= parameters - between
    norms = tuple(name for name, module in backbone.named_modules() if _is_norm(module)
                  and any(id(p) in after for p in module.parameters(recurse=False)))
    return Anatomy(tuple(blocks), tuple(found), norms)
