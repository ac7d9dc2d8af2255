"""LST, ladder side-tuning."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmest.anatomy.branches import ATTENTION, find_branches
from mmest.registry import TUNINGS
from mmest.tuning.side.network import ExpandingSideNetwork

TEMPERATURE = 0.1
HEAD_WIDTH = 32
MIN_WIDTH = 8


class WindowAttention(nn.Module):
    """Self-attention in windows that do not shift, without a bias for positions.

    Args:
        channels: width d.
        window: side of the square windows, in pixels; maps are padded to a multiple of it, and the padding takes part.
    """

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.heads = max(1, channels // HEAD_WIDTH)
        while channels % self.heads:
            self.heads -= 1
        self.qkv = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """B×H×W×d to B×H×W×d."""
        batch, height, width, channels = x.shape
        w = self.window
        x = F.pad(x, (0, 0, 0, -width % w, 0, -height % w))
        rows, columns = x.shape[1] // w, x.shape[2] // w
        x = x.view(batch, rows, w, columns, w, channels).transpose(2, 3).reshape(-1, w * w, channels)
        q, k, v = self.qkv(x).view(-1, w * w, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(-1, w * w, channels)
        x = self.project(x).view(batch, rows, columns, w, w, channels).transpose(2, 3)
        return x.reshape(batch, rows * w, columns * w, channels)[:, :height, :width]


class ThinTransformerBlock(nn.Module):
    """x ← x + attention(LN(x)); x ← x + MLP(LN(x)), at width d.

    Args:
        channels: width d.
        window: see :class:`WindowAttention`.
    """

    def __init__(self, channels: int, window: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        """B×H×W×d to B×H×W×d."""
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ThinConvBlock(nn.Module):
    """x ← x + Conv_3×3(ReLU(Conv_3×3(LN(x)))), at width d.

    Args:
        channels: width d.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """B×H×W×d to B×H×W×d."""
        y = self.conv2(F.relu(self.conv1(self.norm(x).permute(0, 3, 1, 2))))
        return x + y.permute(0, 2, 3, 1)


@TUNINGS.register_module()
class LST(ExpandingSideNetwork):
    """Ladder side-tuning: a thin copy of the backbone beside it, with a rung from every block.

    s_j = block_j(μ_j D_j h_j + (1 − μ_j) s_{j−1}), μ_j = σ(α_j / 0.1), α_j = 0 at the start (Sung et al., 2022, section
    3.2). The source's thin blocks are of the backbone's own kind and start from its pruned weights, for language
    models. Here they are transformer blocks with attention in windows where the backbone's block has attention, and two
    3×3 convolutions where not, and start at random; the backbone's outputs get U s added, U zero at the start.

    Four more things differ from the published code. Its thin attention knows relative positions by a bias, as its
    backbone's does; here the windows have none and do not shift, so within one it is all the same where a feature lies,
    but for what the backbone's features themselves tell. Its ladder starts from the reduced embeddings and has a gate
    at the first block too; here taps are outputs of blocks, so the first state is the first rung, D_1 h_1. It has a
    norm in front of U; here U reads s as it is, as in the other networks beside the backbone. And U s is added behind
    the backbone's output norm, not in front, because f_k is what the backbone hands over.

    Args:
        backbone: the backbone to tune.
        reduction: the state has C / reduction channels, at least 8.
        window: side of the attention windows, in pixels of the stage.
        lr_mult: factor on the learning rate of the side network.

    Raises:
        ValueError: the blocks of the backbone cannot be found, or their resolution rises to that of the outputs.
    """

    acts_on = 'beside the backbone'
    source = 'Sung et al., NeurIPS 2022'

    def __init__(self, backbone: nn.Module, reduction: int = 8, window: int = 8, lr_mult: float = 1.0) -> None:
        super().__init__(backbone, 'block', lr_mult)
        with_attention = {b.block for b in find_branches(backbone, self.anatomy) if b.kind == ATTENTION}
        widths = [max(MIN_WIDTH, block.width // reduction) for block in self.tapped]
        self.reduce = nn.ModuleList(nn.Linear(block.channels, width) for block, width in zip(self.tapped, widths))
        self.gates = nn.ParameterList(nn.Parameter(torch.zeros(())) for _ in widths[1:])
        self.blocks = nn.ModuleList(
            ThinTransformerBlock(width, window) if i in with_attention else ThinConvBlock(width)
            for i, width in zip(self.tapped_blocks, widths)
        )
        self.build_state(widths)

    def advance(self, i: int, h: Tensor, state: Tensor | None) -> Tensor:
        x = self.reduce[i](h)
        if state is not None:
            x = state + torch.sigmoid(self.gates[i - 1] / TEMPERATURE) * (x - state)
        return self.blocks[i](x)
