"""What methods have in common that put small modules into the blocks of a backbone."""

import itertools
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mmest.anatomy.blocks import Block, find_anatomy, token_grid
from mmest.anatomy.branches import CONV, Branch, find_branches
from mmest.anatomy.probe import first_tensor, spatial_shape
from mmest.tuning.base import TuningMethod


class InsertedMethod(TuningMethod):
    """Adds corrections to the branches of the blocks, by forward hooks; no module of the backbone is replaced.

    A subclass calls :meth:`in_series`, :meth:`on_stream` or :meth:`in_parallel` for the branches it wants, with a
    module that maps channels-last features (…×C) to a correction of the same shape. A module with ``spatial = True`` is
    given B×H×W×C; class and register tokens come to it as images of one pixel each.

    Args:
        backbone: the backbone to tune.
        lr_mult: factor on the learning rate of the inserted modules.

    Raises:
        ValueError: the blocks of the backbone cannot be found.
    """

    def __init__(self, backbone: nn.Module, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, lr_mult)
        anatomy = find_anatomy(backbone)
        self.branches: list[Branch] = find_branches(backbone, anatomy)
        self.inserted = nn.ModuleList()
        self._blocks = anatomy.blocks
        self._probe_image = anatomy.image
        self._image: tuple[int, int] = anatomy.image
        self._hw: dict[int, tuple[int, int] | None] = {}
        self._held: dict[int, Tensor] = {}
        backbone.register_forward_pre_hook(self._see_image, with_kwargs=True)
        for i in {branch.block for branch in self.branches}:
            block = backbone.get_submodule(anatomy.blocks[i].name)
            block.register_forward_pre_hook(partial(self._see_grid, i), with_kwargs=True)

    def in_series(self, backbone: nn.Module, branch: Branch, module: nn.Module) -> None:
        """Result r of the branch becomes r + module(r): before the identity is added, as in Houlsby et al."""
        i = self._insert(module)
        backbone.get_submodule(branch.end).register_forward_hook(partial(self._correct_result, i, branch))

    def on_stream(self, backbone: nn.Module, branch: Branch, module: nn.Module) -> None:
        """The sum x of identity and branch becomes x + module(x)."""
        i = self._insert(module)
        if branch.kind == CONV:
            block = backbone.get_submodule(branch.name)
            block.register_forward_hook(partial(self._correct_result, i, branch))
            return
        self._hold(backbone, i, branch.norm or branch.name)
        backbone.get_submodule(branch.end).register_forward_hook(partial(self._correct_sum, i, branch))

    def in_parallel(self, backbone: nn.Module, branch: Branch, module: nn.Module, before_norm: bool) -> None:
        """Result r of the branch becomes r + module(x) with x its input, taken before or after the norm in front of
        it.
        """
        i = self._insert(module)
        self._hold(backbone, i, (before_norm and branch.norm) or branch.name)
        backbone.get_submodule(branch.end).register_forward_hook(partial(self._add_parallel, i, branch))

    def _insert(self, module: nn.Module) -> int:
        self.inserted.append(module)
        return len(self.inserted) - 1

    def _hold(self, backbone: nn.Module, i: int, name: str) -> None:
        backbone.get_submodule(name).register_forward_pre_hook(partial(self._see_input, i), with_kwargs=True)

    def _see_image(self, module, args, kwargs) -> None:
        self._image = tuple(first_tensor((*args, *kwargs.values())).shape[-2:])

    def _see_grid(self, block: int, module, args, kwargs) -> None:
        self._hw[block] = spatial_shape(args, kwargs)

    def _see_input(self, i: int, module, args, kwargs) -> None:
        self._held[i] = first_tensor((*args, *kwargs.values()))

    def _correct_result(self, i: int, branch: Branch, module, args, output: Any) -> Any:
        result = first_tensor(output)
        return self._with_first(output, result + self._correction(i, branch, result))

    def _correct_sum(self, i: int, branch: Branch, module, args, output: Any) -> Any:
        result = first_tensor(output)
        return self._with_first(output, result + self._correction(i, branch, result + self._held.pop(i)))

    def _add_parallel(self, i: int, branch: Branch, module, args, output: Any) -> Any:
        result = first_tensor(output)
        return self._with_first(output, result + self._correction(i, branch, self._held.pop(i)).to(result.dtype))

    @staticmethod
    def _with_first(output: Any, result: Tensor) -> Any:
        return (result, *output[1:]) if isinstance(output, (tuple, list)) else result

    def _correction(self, i: int, branch: Branch, x: Tensor) -> Tensor:
        module = self.inserted[i]
        if branch.channels_first and x.ndim == 4:
            correction = module(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        elif getattr(module, 'spatial', False) and x.ndim == 3:
            correction = self._on_grid(module, self._blocks[branch.block], branch.block, x)
        else:
            correction = module(x)
        return correction.to(x.dtype)

    def _on_grid(self, module: nn.Module, block: Block, index: int, x: Tensor) -> Tensor:
        """Run a spatial module on B×L×C tokens."""
        prefix = block.prefix_tokens
        height, width = self._hw.get(index) or self._grid(block, x.shape[1] - prefix)
        result = module(x[:, prefix:].unflatten(1, (height, width))).flatten(1, 2)
        if prefix == 0:
            return result
        ones = module(x[:, :prefix].flatten(0, 1)[:, None, None])
        return torch.cat([ones[:, 0, 0].unflatten(0, (x.shape[0], prefix)), result], 1)

    def _grid(self, block: Block, tokens: int) -> tuple[int, int]:
        """Height and width of a number of tokens that come without: what the image has at the block's stride, rounded
        down or up.
        """
        sides = []
        for image, probe, size in zip(self._image, self._probe_image, block.size):
            stride = max(1, round(probe / size))
            sides.append({image // stride, -(-image // stride)})
        grid = token_grid(tokens, list(itertools.product(*sides)))
        if grid is None or grid[0] * grid[1] != tokens:
            raise ValueError(
                f'{type(self).__name__}: block "{block.name}" works on {tokens} tokens, which are no grid of '
                f'an image of {self._image[0]}×{self._image[1]}.'
            )
        return grid
