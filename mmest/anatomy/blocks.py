"""Where the blocks of a backbone are, and what its outputs are made of.

Nothing here knows a backbone by its class. Blocks are found by what they contain; channels, resolutions and the block
that feeds each output come from one small forward pass whose autograd graph is read.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from mmest.anatomy.graph import walk_back
from mmest.anatomy.grids import find_grid, is_scaled
from mmest.anatomy.lists import find_block_names
from mmest.anatomy.probe import ModuleCall, Probe, probe

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
        stride: pixels of the image for one position of the output, vertically and horizontally.
        prefix_tokens: tokens in front of the H*W spatial ones (class or register tokens).
        channels_first: whether the output is B×C×H×W; otherwise it is B×H×W×C, or tokens B×L×C.
        read_before: the layer inside whose input a tap reads; None: the output. ``channels`` are those of what is read.
    """

    name: str
    stage: int
    channels: int
    width: int
    size: tuple[int, int]
    stride: tuple[int, int]
    prefix_tokens: int
    channels_first: bool
    read_before: str | None = None


@dataclass(frozen=True)
class Output:
    """One map that the backbone hands to the neck: its channels, the indices of the blocks that it comes from, with no
    other block behind them (none for one from in front of all blocks, which no method changes), and its height and
    width for an input of the probe's size.
    """

    channels: int
    sources: tuple[int, ...]
    size: tuple[int, int]

    @property
    def block(self) -> int | None:
        """The last of the blocks that it comes from."""
        return max(self.sources, default=None)


@dataclass(frozen=True)
class Anatomy:
    """Blocks in the order in which they run, outputs in the order in which they are returned.

    ``output_norms`` names the modules that lie between a block and an output and feed no later block, ``parameters``
    the parameters that an output depends on, ``image`` is the height and width of the probe's image, and
    ``image_channels`` are the channels of every image.
    """

    blocks: tuple[Block, ...]
    outputs: tuple[Output, ...]
    output_norms: tuple[str, ...]
    parameters: tuple[str, ...]
    image: tuple[int, int]
    image_channels: int

    @property
    def feeding(self) -> set[int]:
        """The blocks that outputs come from, by index."""
        return {output.block for output in self.outputs if output.block is not None}

    @property
    def used(self) -> tuple[Block, ...]:
        """The blocks up to the last that an output comes from."""
        return self.blocks[: max(self.feeding) + 1]


def _inner_width(block: nn.Module, channels: int) -> int:
    """Channels of the block's spatial (not depthwise) convolution; C where there is none."""
    widths = [
        m.out_channels
        for m in block.modules()
        if isinstance(m, nn.Conv2d) and max(m.kernel_size) > 1 and m.groups < m.out_channels
    ]
    return min([channels, *widths])


def map_shape(
    call: ModuleCall, image: tuple[int, int], output_sizes: Sequence[tuple[int, int]]
) -> tuple[int, int, int] | None:
    """(C, H, W) of a block's output: B×C×H×W, B×H×W×C, or B×L×C tokens. None if it is none of these.

    Raises:
        ValueError: the grid of tokens is not known.
    """
    shape = call.output.shape
    if len(shape) == 4:
        if is_scaled(shape[2:], image):
            return shape[1], shape[2], shape[3]
        return (shape[3], shape[1], shape[2]) if is_scaled(shape[1:3], image) else None
    if len(shape) == 3:
        return shape[2], *find_grid(shape[1], image, [*call.sizes, *output_sizes], most_prefix=MAX_PREFIX_TOKENS)
    return None


def _describe_blocks(
    backbone, calls: dict[str, ModuleCall], outputs: list[Tensor], size: tuple[int, int]
) -> list[Block]:
    output_sizes = [tuple(o.shape[-2:]) for o in outputs]
    blocks: list[Block] = []
    for name, call in calls.items():  # in the order of execution
        shape, unknown = None, ''
        try:
            shape = None if call.output is None else map_shape(call, size, output_sizes)
        except ValueError as error:
            unknown = f': {error}'.removesuffix('.')
        if shape is None:
            found = None if call.output is None else tuple(call.output.shape)
            raise ValueError(
                f'{type(backbone).__name__}: the output of block "{name}" should be a B×C×H×W map, a B×H×W×C map or '
                f'B×L×C tokens whose grid is known, but for an image of {size[0]}×{size[1]} it is {found}{unknown}. '
                'This backbone cannot be tapped; use a method that needs no taps, such as Full or Frozen.'
            )
        channels, grid = shape[0], shape[1:]
        tokens = call.output.shape[1] - math.prod(grid) if call.output.ndim == 3 else 0
        last = blocks[-1] if blocks else None
        same_stage = last is not None and (last.channels, last.size) == (channels, grid)
        stage = 0 if last is None else last.stage + (not same_stage)
        width = _inner_width(backbone.get_submodule(name), channels)
        first = tuple(call.output.shape[1:]) == shape
        stride = max(1, round(size[0] / grid[0])), max(1, round(size[1] / grid[1]))
        blocks.append(Block(name, stage, channels, width, grid, stride, tokens, first))
    return blocks


def _probe_blocks(backbone: nn.Module, names: list[str]) -> Probe:
    """One pass with the calls of the blocks. Where members of a list see no map of the image, but parts of it as a
    batch or as rows (MobileViT), the list is a part of a block: members of the list around it are the blocks.
    """
    found, inner = probe(backbone, names), set()
    while parts := {name.rpartition('.')[0] for name, call in found.calls.items() if not _is_map(call, found)}:
        inner |= parts
        names = find_block_names(backbone, inner)
        if not names:  # what they return is said of the innermost
            break
        found = probe(backbone, names)
    return found


def _is_map(call: ModuleCall, found: Probe) -> bool:
    try:
        return (
            call.output is not None
            and len(call.output) == 1  # as many as the probe has images
            and map_shape(call, found.image, [tuple(output.shape[-2:]) for output in found.outputs]) is not None
        )
    except ValueError:
        return False


def is_norm(module: nn.Module) -> bool:
    # GroupNorm, LayerNorm, BatchNorm and their subclasses share nothing but vectors as parameters and the word.
    return 'norm' in type(module).__name__.lower() and all(p.ndim == 1 for p in module.parameters(recurse=False))


def find_anatomy(backbone: nn.Module) -> Anatomy:
    """Find blocks, stages and outputs of any backbone.

    Runs one forward pass in eval mode on a small blank image; parameters, buffers and flags are left as they were.

    Raises:
        ValueError: no blocks were found, what they return is not understood, or no output depends on them.
    """
    kind = type(backbone).__name__
    names = find_block_names(backbone)
    if not names:
        raise ValueError(
            f'{kind}: no blocks were found. A block is a member of an nn.ModuleList or nn.Sequential of modules of one '
            'class with at least two weight layers each, and is no such list itself: of rows of layers '
            '(nn.Sequential) make a class of your own. Or use a method that needs no blocks, such as Full or Frozen.'
        )
    calls, outputs, image, image_channels = _probe_blocks(backbone, names)
    blocks = _describe_blocks(backbone, calls, outputs, image)
    order = [calls[b.name] for b in blocks]
    stops = {call.output_fn: i for i, call in enumerate(order)}
    between: set[int] = set()
    for call in order:
        between |= walk_back(call.source_fn, stops)[1]
    found, after, used = [], set(), set()
    for output in outputs:
        sources, parameters = walk_back(output.grad_fn, stops)
        found.append(Output(output.shape[1], tuple(sorted(stops[node] for node in sources)), tuple(output.shape[-2:])))
        after |= parameters - between
        used |= walk_back(output.grad_fn, ())[1]
    if all(output.block is None for output in found):
        raise ValueError(
            f'{kind}: no output depends on a block, so no tuning method can reach any. Take maps from behind the '
            f'blocks as well, the first of which is "{blocks[0].name}", or use a method that needs no blocks, such as '
            'Full or Frozen.'
        )
    norms = tuple(
        name
        for name, module in backbone.named_modules()
        if is_norm(module) and any(id(p) in after for p in module.parameters(recurse=False))
    )
    parameters = tuple(name for name, p in backbone.named_parameters() if id(p) in used)
    return Anatomy(tuple(blocks), tuple(found), norms, parameters, image, image_channels)
