"""Reading the blocks of a backbone while it runs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from mmest.anatomy.blocks import Block
from mmest.anatomy.grids import Grid, find_grid
from mmest.anatomy.hooks import Hooked, Pass
from mmest.anatomy.probe import first_tensor, sizes_given


class Tap(NamedTuple):
    """What was read of one block: stage index, block index (both from 0 over the whole backbone), B×C×H×W feature."""

    stage: int
    block: int
    feature: Tensor


def _see(hooked: Hooked, index: int, module, args, kwargs, output) -> None:
    run = hooked.current_pass()
    if run is not None:
        run.seen[index] = (first_tensor(output), sizes_given(args, kwargs, output))


def _see_input(hooked: Hooked, index: int, module, args, kwargs) -> None:
    _see(hooked, index, module, args, kwargs, (*args, *kwargs.values()))


class TapReader:
    """Reads what the chosen blocks of a backbone return, or what goes into a layer inside.

    Args:
        hooked: whose hooks see the blocks.
        backbone: the module that holds the blocks.
        blocks: the blocks to read, by their index in the backbone, in the order of the taps.
    """

    def __init__(self, hooked: Hooked, backbone: nn.Module, blocks: Mapping[int, Block]) -> None:
        self.blocks = dict(blocks)
        for i, block in self.blocks.items():
            if block.read_before is None:
                hooked.hook_after(backbone, block.name, _see, i)
            else:
                hooked.hook_before(backbone, block.read_before, _see_input, i)

    def take(self, run: Pass, image: tuple[int, int], features: Sequence[Tensor]) -> list[Tap]:
        """Taps of a forward pass, which keeps no reference to them.

        Args:
            run: the pass.
            image: height and width of the backbone's input.
            features: the backbone's outputs, which tell the grid of tokens that come without one.

        Raises:
            ValueError: the grid of a block's tokens is not known.
        """
        sizes = [(f.shape[-2], f.shape[-1]) for f in features]
        return [
            Tap(block.stage, i, self._as_map(block, *run.seen.pop(i), image, sizes)) for i, block in self.blocks.items()
        ]

    @staticmethod
    def _as_map(block: Block, x: Tensor, given: list[Grid], image: Grid, sizes: list[Grid]) -> Tensor:
        if x.ndim == 4:
            return x if block.channels_first else x.permute(0, 3, 1, 2)
        try:
            grid = find_grid(x.shape[1] - block.prefix_tokens, image, [*given, *sizes], block.stride)
        except ValueError as error:
            raise ValueError(f'Block "{block.name}" returned {error}') from None
        return x[:, block.prefix_tokens :].unflatten(1, grid).permute(0, 3, 1, 2)
