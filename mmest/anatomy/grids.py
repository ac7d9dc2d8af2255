"""The grid of a block's tokens: of how many rows and columns of a map they are.

What a block is handed or returns beside its tokens tells, if it is that; it may also be the size of the image (BEiT of
transformers), of a window, or of the map in front of a block that pools (MViT).
"""

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import torch

Grid = tuple[int, int]

_SIDE = (int, torch.SymInt)  # the second in a graph of any size


def is_scaled(size: Sequence[int], image: Sequence[int]) -> bool:
    """Whether a H×W map can be an image of the given size, reduced by one stride for both sides."""
    low, high = [], []
    for small, large in zip(size, image):
        low.append(large / (small + 1))
        high.append(large / max(small - 1, 0.5))
    return max(low) < min(high) and all(s <= i for s, i in zip(size, image))


def _is_side(value: Any) -> bool:
    return isinstance(value, _SIDE) and not isinstance(value, bool)


def sizes_in(*values: Any) -> list[Grid]:
    """What may be (H, W) among the arguments or results of a block: (H, W), (1, H, W), or two numbers in a row."""
    sizes = [
        (value[-2], value[-1])
        for value in values
        if isinstance(value, (tuple, list)) and len(value) in (2, 3) and all(map(_is_side, value))
    ]
    return sizes + [pair for pair in zip(values, values[1:]) if all(map(_is_side, pair))]


def find_grid(
    tokens: int, image: Grid | None, known: Sequence[Grid], strides: Grid | None = None, most_prefix: int = 0
) -> Grid:
    """The (H, W) of a number of tokens: of what is known the size that fits, else what the image has at the block's
    stride, rounded down or up. No size is taken that is not of the image's form, though its product fit: a square for
    a long image, or the width first.

    Args:
        tokens: how many there are.
        image: height and width of the backbone's input; None where a block runs by itself: what is known is believed.
        known: sizes that may be the grid: those of :func:`sizes_in`, and of the backbone's outputs.
        strides: pixels of the image for one token, vertically and horizontally; None where they are not known yet: all
            that divide both sides are tried.
        most_prefix: how many of the tokens may stand in front of the grid's. The grid with the fewest is taken.

    Raises:
        ValueError: none fits, or two do; the text goes on where "Block X returned" ends.
    """
    guessed = [] if image is None else list(_reduced(image, strides))
    if any(isinstance(side, torch.SymInt) for side in (tokens, *(image or ()))):
        # Each comparison narrows the sizes that a graph of any size is for: no more of them than it takes.
        for height, width in (*known, *guessed):
            if height * width == tokens:
                return height, width
        raise ValueError(f'{tokens} tokens, which are none of the sizes known{_end(None, strides)}')
    for prefix in range(most_prefix + 1):
        for candidates in (known, guessed):
            fitting = {
                grid for grid in candidates if math.prod(grid) == tokens - prefix and _suits(grid, image, strides)
            }
            if len(fitting) > 1:
                raise ValueError(f'{tokens} tokens, which may be any of {_listed(fitting)}{_end(image, strides)}')
            if fitting:
                return fitting.pop()
    raise ValueError(f'{tokens} tokens, which are none of {_listed({*known, *guessed})}{_end(image, strides)}')


def _reduced(image: Grid, strides: Grid | None) -> Iterator[Grid]:
    height, width = image
    if strides is None:
        both = math.gcd(height, width)
        yield from ((height // s, width // s) for s in range(1, both + 1) if both % s == 0)
    else:
        yield from product(*((length // s, -(-length // s)) for length, s in zip(image, strides)))


def _suits(grid: Grid, image: Grid | None, strides: Grid | None) -> bool:
    """Whether a grid may be that of an image, which the backbone may have padded by more than a stride."""
    if image is None or is_scaled(grid, image):
        return True
    return strides is not None and all(side >= length // s for side, length, s in zip(grid, image, strides))


def _end(image: Grid | None, strides: Grid | None) -> str:
    of = f', the sizes known for an image of {image[0]}×{image[1]}' if image else ''
    if strides is None:
        return f'{of}.'
    return f'{of}. Take images whose height is a multiple of {strides[0]} and whose width is one of {strides[1]}.'


def _listed(grids: set[Grid]) -> str:
    return ', '.join(f'{height}×{width}' for height, width in sorted(grids))
