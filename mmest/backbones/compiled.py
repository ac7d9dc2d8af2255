"""A frozen backbone's forward pass, compiled."""

from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

# Each size is a program of its own: one for all sizes takes minutes to derive for a backbone that pads and windows.
MOST_SIZES = 4


class CompiledForward:
    """Runs a backbone by ``torch.compile`` where it is the same work again and again: in training, for the first few
    sizes of batches. All else runs as it is: evaluation and prediction, further sizes, and what only looks at the
    operations (memory counts, plans, exports).

    Parameters, keys and hooks are those of the backbone itself; a copy of it compiles anew.

    Args:
        wanted: without this every pass runs as it is.
    """

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._sizes: set[tuple[int, ...]] = set()
        self._said = False

    def prepare(self, backbone: nn.Module) -> None:
        """Before a pass, whose hooks have to know whether it may be a compiled one."""
        if self._wanted and backbone._compiled_call_impl is None:
            # Or else two backbones of one class, under different methods, would share a program with the hooks of one.
            torch._dynamo.config.skip_nnmodule_hook_guards = False
            backbone.compile(dynamic=False)

    def __call__(self, backbone: nn.Module, x: Tensor, training: bool) -> Any:
        """What the backbone returns for an image batch B×C×H×W.

        Raises:
            RuntimeError: it cannot be compiled.
        """
        if not self._wanted:
            return backbone(x)
        if not training or _is_looked_at() or not self._takes(tuple(x.shape)):
            return backbone._call_impl(x)
        try:
            return backbone(x)
        except Exception as error:
            if type(error).__module__.startswith(('torch._dynamo', 'torch._inductor')):
                raise RuntimeError(
                    f'{type(backbone).__name__} cannot be compiled: {str(error).strip().splitlines()[0]}. A C++ '
                    'compiler is needed on the CPU, and Triton on CUDA. Leave out model.backbone.compile.'
                ) from error
            raise

    def _takes(self, size: tuple[int, ...]) -> bool:
        if size not in self._sizes and len(self._sizes) == MOST_SIZES:
            if not self._said:
                self._said = True
                print_log(
                    f'compile=True: the first {MOST_SIZES} sizes of batches are compiled; {"×".join(map(str, size))} '
                    'and further ones run as without. Have the pipeline give fewer sizes.',
                    logger='current',
                    level=30,
                )
            return False
        self._sizes.add(size)
        return True


def _is_looked_at() -> bool:
    return torch.compiler.is_compiling() or torch.jit.is_tracing() or is_in_torch_dispatch_mode()
