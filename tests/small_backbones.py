"""Backbones of kinds that mmdet and mmseg do not have, as small as can be."""

import mmdet.models
import torch
import torch.nn.functional as F
from mmdet.models.backbones.resnet import Bottleneck
from mmengine.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module(name='SmallResNet', force=True)
class ResNet(mmdet.models.ResNet):
    """With a third of the blocks where its depth is 50: torch and mmest look at each, and tests wait for it."""

    arch_settings = {**mmdet.models.ResNet.arch_settings, 50: (Bottleneck, (2, 1, 1, 1))}


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of B×C×H×W."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """x + γ ⊙ W₂ GELU(W₁ LN(DW_7×7(x)))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.full((channels,), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.dwconv(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.pwconv2(F.gelu(self.pwconv1(y)))).permute(0, 3, 1, 2)


@MODELS.register_module(force=True)
class SmallConvNeXt(nn.Module):
    """Two stages of two blocks, a norm behind each (Liu et al., CVPR 2022)."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        widths = (channels, 2 * channels)
        self.downsample_layers = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(3, widths[0], 4, stride=4), ChannelNorm(widths[0])),
                nn.Sequential(ChannelNorm(widths[0]), nn.Conv2d(*widths, 2, stride=2)),
            ]
        )
        self.stages = nn.ModuleList(nn.Sequential(ConvNeXtBlock(c), ConvNeXtBlock(c)) for c in widths)
        self.norms = nn.ModuleList(ChannelNorm(c) for c in widths)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outputs = []
        for downsample, stage, norm in zip(self.downsample_layers, self.stages, self.norms):
            x = stage(downsample(x))
            outputs.append(norm(x))
        return tuple(outputs)


class Attention(nn.Module):
    """Self-attention of one head over B×L×C."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.proj((q @ k.transpose(1, 2) / q.shape[-1] ** 0.5).softmax(-1) @ v)


class PostNormBlock(nn.Module):
    """x + LN(attention(x)), then x + LN(MLP(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.attn = Attention(channels)
        self.norm1 = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 4 * channels), nn.GELU(), nn.Linear(4 * channels, channels))
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.norm1(self.attn(x))
        return x + self.norm2(self.mlp(x))


@MODELS.register_module(force=True)
class PostNormViT(nn.Module):
    """A plain transformer whose blocks normalise what a branch gives, as those of Swin V2 (Liu et al., CVPR 2022)."""

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.patch_embed = nn.Conv2d(3, channels, 8, stride=8)
        self.blocks = nn.ModuleList(PostNormBlock(channels) for _ in range(2))

    def forward(self, x: Tensor) -> tuple[Tensor]:
        x = self.patch_embed(x)
        size = x.shape[2:]
        x = x.flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return (x.transpose(1, 2).unflatten(2, size),)
