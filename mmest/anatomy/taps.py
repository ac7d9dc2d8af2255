"""Reading the outputs of a backbone's blocks while it runs."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from mmest.anatomy.blocks import Block
from mmest.anatomy.probe import first_tensor, is_scaled, spatial_shape


class Tap(NamedTuple):
    """The output of one block: stage index, block index (both from 0 over the whole backbone), B×C×H×W feature."""

    stage: int
    block: int
    feature: Tensor


class TapReader:
    """Records what the chosen blocks of a backbone return.

    The hooks are registered once and are bound methods, so a deep copy of the model (EMA) reads its own blocks and a
    compiled backbone is not traced anew at every step.

    Args:
        backbone: the module that holds the blocks.
        blocks: the blocks to read, by their index in the backbone, ascending.
    """

    def __init__(self, backbone: nn.Module, blocks: Mapping[int, Block]) -> None:
        self.blocks = dict(blocks)
        self.calls: dict[int, tuple[Tensor, tuple[int, int] | None]] = {}
        for i, block in self.blocks.items():
            backbone.get_submodule(block.name).register_forward_hook(partial(self._see, i), with_kwargs=True)

    def _see(self, index, module, args, kwargs, output) -> None:
        self.calls[index] = (first_tensor(output), spatial_shape(args, kwargs))

    def take(self, image: tuple[int, int], features: Sequence[Tensor]) -> list[Tap]:
        """Taps of the forward pass that has just ended; the reader keeps no reference to them.

        Args:
            image: height and width of the backbone's input.
            features: the backbone's outputs, which tell the grid of tokens that come without one.
        """
        calls, self.calls = self.calls, {}
        sizes = {tuple(f.shape[-2:]) for f in features}
        return [Tap(block.stage, i, self._as_map(block, *calls[i], image, sizes)) for i, block in self.blocks.items()]

    @staticmethod
    def _as_map(block: Block, x: Tensor, hw: tuple[int, int] | None, image, sizes) -> Tensor:
        if x.ndim == 4:
            return x if x.shape[1] == block.channels and is_scaled(x.shape[2:], image) else x.permute(0, 3, 1, 2)
        tokens = x.shape[1] - block.prefix_tokens
        grids = [hw] if hw is not None else sizes
        grid = next((g for g in grids if g[0] * g[1] == tokens), None)
        if grid is None:
            raise ValueError(
                f'Block "{block.name}" returned {tokens} spatial tokens, which fit none of the grids '
                f'{sorted(grids)} known for an image of {image[0]}×{image[1]}.'
            )
        return x[:, block.prefix_tokens :].unflatten(1, grid).permute(0, 3, 1, 2)
