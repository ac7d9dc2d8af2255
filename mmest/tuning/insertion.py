"""What methods have in common that put small modules into the blocks of a backbone."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from mmest.anatomy.again import run_again_in_backward
from mmest.anatomy.blocks import Block, find_anatomy
from mmest.anatomy.branches import CONV, Branch, find_branches, refuse_windows
from mmest.anatomy.grids import Grid, find_grid
from mmest.anatomy.probe import first_tensor, sizes_given
from mmest.tuning.base import TuningMethod
from mmest.tuning.substitution import Place, own_tensors, with_tensors


class _BlockRun:
    """One run of one block: height and width of the image, what may be those of its tokens among what it was given, the
    scales of its branches, and inputs that are held for later.
    """

    def __init__(self, image: Grid | None, sizes: list[Grid], scales: Mapping[str, Tensor]) -> None:
        self.image = image
        self.sizes = sizes
        self.scales = scales
        self.held: dict[int, Tensor] = {}


# Each thread has its own, and a block that runs again in a backward pass gets a fresh one.
_image: ContextVar[tuple[int, int] | None] = ContextVar('mmest_image', default=None)
_block: ContextVar[_BlockRun | None] = ContextVar('mmest_block', default=None)


class InsertedMethod(TuningMethod):
    """Adds corrections to the branches of the blocks, by forward hooks; no module of the backbone is replaced.

    Where a block multiplies the result of attention or MLP by a parameter of its own (layer scale), that is done here,
    in front of the corrections, and the block multiplies by ones.

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
        self.hook_around(backbone, '', InsertedMethod._run_backbone)
        for branch in self.branches:
            if branch.scale:
                self.hook_after(backbone, branch.end, InsertedMethod._scale_result, branch.scale, branch.channels_first)
        for i in sorted({branch.block for branch in self.branches}):
            name = anatomy.blocks[i].name
            scales = {b.scale: Place('', b.scale) for b in self.branches if b.block == i and b.scale}
            recomputing = [m for m in backbone.get_submodule(name).modules() if getattr(m, 'with_cp', False)]
            for module in recomputing:  # the block is recomputed as a whole instead, with what its corrections need
                module.with_cp = False  # type: ignore[assignment]
            self.hook_around(backbone, name, InsertedMethod._run_block, bool(recomputing), scales)

    def in_series(self, backbone: nn.Module, branch: Branch, module: nn.Module) -> None:
        """Result r of the branch becomes r + module(r): before the identity is added, as in Houlsby et al."""
        i = self._insert(module)
        self.hook_after(backbone, branch.end, InsertedMethod._correct_result, i, branch)

    def on_stream(self, backbone: nn.Module, branch: Branch, module: nn.Module) -> None:
        """The sum x of identity and branch becomes x + module(x).

        Raises:
            ValueError: what the branch's result is added to is not seen: the map in front of windows, or what a block
                makes of its features where it changes their size.
        """
        i = self._insert(module)
        if branch.kind == CONV:
            self.hook_around(backbone, branch.name, InsertedMethod._correct_block, i, branch)
            return
        refuse_windows(branch, type(self).__name__, input_too=True)
        if not branch.keeps_shape:
            raise ValueError(
                f'{type(self).__name__} corrects the sum of a branch and what passes by it, but "{branch.name}" '
                'changes the size of the features, and what the block makes of those that pass by no module sees. Use '
                'a method that acts on what branches give, such as Adapter or LoRA, or one beside the backbone, such '
                'as EST.'
            )
        self._hold(backbone, i, branch.identity)
        self.hook_after(backbone, branch.end, InsertedMethod._correct_sum, i, branch)

    def in_parallel(self, backbone: nn.Module, branch: Branch, module: nn.Module, before_norm: bool) -> None:
        """Result r of the branch becomes r + module(x) with x its input, taken before or after the norm in front of
        it.

        Raises:
            ValueError: the module is spatial, and the branch works in windows of a map that no module sees.
        """
        if getattr(module, 'spatial', False):
            refuse_windows(branch, type(self).__name__, input_too=True)
        i = self._insert(module)
        if branch.norm and not before_norm:  # what the norm gives, which the branch may take in windows
            self.hook_after(backbone, branch.norm, InsertedMethod._hold_output, i)
        else:
            self._hold(backbone, i, branch.identity)
        self.hook_after(backbone, branch.end, InsertedMethod._add_parallel, i, branch)

    def _insert(self, module: nn.Module) -> int:
        self.inserted.append(module)
        return len(self.inserted) - 1

    def _hold(self, backbone: nn.Module, i: int, name: str) -> None:
        self.hook_around(backbone, name, InsertedMethod._hold_input, i)

    def _run_backbone(self, inner: Callable, backbone: nn.Module, *args, **kwargs) -> Any:
        height, width = first_tensor((*args, *kwargs.values())).shape[-2:]
        token = _image.set((height, width))
        try:
            return inner(backbone, *args, **kwargs)
        finally:
            _image.reset(token)

    def _run_block(
        self, recompute: bool, scales: dict[str, Place], inner: Callable, block: nn.Module, *args, **kwargs
    ) -> Any:
        image = _image.get()
        own = {name: scale for name, scale in own_tensors(block, scales).items() if scale is not None}
        if own:
            block = with_tensors(block, scales, {name: torch.ones_like(scale) for name, scale in own.items()})

        def run(*args, **kwargs) -> Any:
            token = _block.set(_BlockRun(image, sizes_given(args, kwargs), own))
            try:
                return inner(block, *args, **kwargs)
            finally:
                _block.reset(token)

        if recompute and torch.is_grad_enabled():
            return run_again_in_backward(run, args, kwargs)
        return run(*args, **kwargs)

    def _hold_input(self, i: int, inner: Callable, module, *args, **kwargs) -> Any:
        self._block_run().held[i] = first_tensor((*args, *kwargs.values()))
        return inner(module, *args, **kwargs)

    def _hold_output(self, i: int, module, args, kwargs, output: Any) -> None:
        self._block_run().held[i] = first_tensor(output)

    def _scale_result(self, name: str, channels_first: bool, module, args, kwargs, output: Any) -> Any:
        result, scale = first_tensor(output), self._block_run().scales[name].flatten()
        if channels_first and result.ndim == 4:
            scale = scale[:, None, None]
        return self._replacing_first(output, scale * result)

    def _correct_block(self, i: int, branch: Branch, inner: Callable, block, *args, **kwargs) -> Any:
        output = inner(block, *args, **kwargs)  # of its input's layout, as the identity is added
        first = branch.input_channels_first
        return self._with_first(output, self._correction(i, branch, first_tensor(output), first, first))

    def _correct_result(self, i: int, branch: Branch, module, args, kwargs, output: Any) -> Any:
        first = branch.channels_first
        return self._with_first(output, self._correction(i, branch, first_tensor(output), first, first))

    def _correct_sum(self, i: int, branch: Branch, module, args, kwargs, output: Any) -> Any:
        x, first = first_tensor(output) + self._block_run().held.pop(i), branch.channels_first
        return self._with_first(output, self._correction(i, branch, x, first, first))

    def _add_parallel(self, i: int, branch: Branch, module, args, kwargs, output: Any) -> Any:
        x = self._block_run().held.pop(i)
        correction = self._correction(i, branch, x, branch.input_channels_first, branch.channels_first)
        return self._with_first(output, correction)

    def _block_run(self) -> '_BlockRun':
        run = _block.get()
        if run is None:
            raise RuntimeError(
                f'{type(self).__name__} acts inside the blocks of the backbone, but a part of a block was run by '
                'itself; run the whole block or the backbone.'
            )
        return run

    @classmethod
    def _with_first(cls, output: Any, correction: Tensor) -> Any:
        """An output whose first tensor is corrected and keeps its type."""
        result = first_tensor(output)
        return cls._replacing_first(output, result + correction.to(result.dtype))

    @staticmethod
    def _replacing_first(output: Any, result: Tensor) -> Any:
        return (result, *output[1:]) if isinstance(output, (tuple, list)) else result

    def _correction(self, i: int, branch: Branch, x: Tensor, first: bool, result_first: bool) -> Tensor:
        """What module i gives for x; the flags say whether maps have their channels first, x and the correction."""
        module = self.inserted[i]
        if first and x.ndim == 4:
            x = x.permute(0, 2, 3, 1)
        if getattr(module, 'spatial', False) and x.ndim == 3:
            return self._on_grid(module, self._blocks[branch.block], x)
        correction = module(x)
        return correction.permute(0, 3, 1, 2) if result_first and x.ndim == 4 else correction

    def _on_grid(self, module: nn.Module, block: Block, x: Tensor) -> Tensor:
        """Run a spatial module on B×L×C tokens."""
        prefix = block.prefix_tokens
        height, width = self._grid(block, x.shape[1] - prefix)
        result = module(x[:, prefix:].unflatten(1, (height, width))).flatten(1, 2)
        if prefix == 0:
            return result
        ones = module(x[:, :prefix].flatten(0, 1)[:, None, None])
        return torch.cat([ones[:, 0, 0].unflatten(0, (x.shape[0], prefix)), result], 1)

    def _grid(self, block: Block, tokens: int) -> tuple[int, int]:
        run = self._block_run()
        try:
            return find_grid(tokens, run.image, run.sizes, block.stride)
        except ValueError as error:
            if run.image is None:
                raise RuntimeError(
                    f'{type(self).__name__}: block "{block.name}" runs outside of a forward pass of the backbone, so '
                    'the grid of its tokens is unknown; to save memory set with_cp of the backbone, and no checkpoint '
                    'around its blocks.'
                ) from None
            raise ValueError(f'{type(self).__name__}: block "{block.name}" works on {error}') from None
