"""DTL, disentangled transfer learning."""

import torch
from torch import Tensor, nn

from mmest.registry import TUNINGS
from mmest.tuning.depthwise import DepthwiseConv2d
from mmest.tuning.knobs import KernelSize
from mmest.tuning.side.network import SideNetwork, zero_linear

BETA = 100


def swish(x: Tensor) -> Tensor:
    """X · σ(β x), β = 100: nearly a ReLU, as in the source."""
    return x * torch.sigmoid(BETA * x)


@TUNINGS.register_module()
class DTL(SideNetwork):
    """A compact side network: low-rank maps of all blocks, summed up (Fu et al., 2024).

    Within a stage r ← r + U_j D_j h_j with r of the block's width C; output k becomes f_k + DWConv(swish(r)), with one
    depthwise convolution per stage as in the source's DTL+. Every stage starts its own sum, as in the source. Rank and
    kernel are those that its scripts give Swin-B; ViT-B has rank 2 and 3×3 there.

    Four things differ from the published code. It feeds swish(r) back into the later blocks, whose graph it then needs;
    here it is added to the outputs alone, so that no graph enters the backbone. For the same reason it is added behind
    the output norm, not in front: f_k is what the backbone hands over. h_j is the output of block j, where the code
    reads the block's input: an output hears the block that it comes from, which nothing else would correct. And of
    Swin-B the code reads the blocks from the fifth on; here all are read, as the code does in ViT-B.

    Args:
        backbone: the backbone to tune.
        rank: of the maps.
        kernel_size: of the depthwise convolutions.
        lr_mult: factor on the learning rate of the side network.

    Raises:
        ValueError: the blocks of the backbone cannot be found, their resolution rises to that of the outputs, or an
            output has other channels than the block that feeds it.
    """

    acts_on = 'beside the backbone'
    source = 'Fu et al., AAAI 2024'

    def __init__(self, backbone: nn.Module, rank: int = 4, kernel_size: KernelSize = 5, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, 'block', lr_mult)
        self.refuse_other_channels(type(backbone).__name__)
        last = {self.tapped[source].stage: source for source in sorted(self.sources)}
        # Blocks behind the last output of their stage reach no output.
        self._used = [block.stage in last and i <= last[block.stage] for i, block in enumerate(self.tapped)]
        self.down = nn.ModuleDict(
            {
                str(i): nn.Linear(block.channels, rank, bias=False)
                for i, block in enumerate(self.tapped)
                if self._used[i]
            }
        )
        self.up = nn.ModuleDict(
            {str(i): zero_linear(rank, block.channels) for i, block in enumerate(self.tapped) if self._used[i]}
        )
        self.convs = nn.ModuleDict(
            {str(stage): DepthwiseConv2d(self.tapped[i].channels, kernel_size, bias=False) for stage, i in last.items()}
        )

    def change_stage(self, i: int, state: Tensor | None, size: tuple[int, int]) -> None:
        return None

    def advance(self, i: int, h: Tensor, state: Tensor | None) -> Tensor | None:
        if not self._used[i]:
            return state
        r = self.up[str(i)](self.down[str(i)](h))
        return r if state is None else state + r

    def correct(self, k: int, feature: Tensor, state: Tensor) -> Tensor:
        conv = self.convs[str(self.tapped[self.sources[k]].stage)]
        return feature + conv(swish(state).permute(0, 3, 1, 2)).to(feature.dtype)
