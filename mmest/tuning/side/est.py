"""Efficient Side-Tuning (EST).

H. Yu et al., "Efficient Side-Tuning for Remote Sensing: A Low-Memory Fine-Tuning Framework", IEEE JSTARS 18, 2025,
doi 10.1109/JSTARS.2025.3563641. The abstract states a network parallel to the backbone whose main part, the EST Block,
has a multichannel adapter fusion module, a gate layer and a depthwise convolution. How these are built and joined is
the design of this package.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmest.anatomy.taps import Tap
from mmest.registry import TUNINGS
from mmest.tuning.depthwise import DepthwiseConv2d
from mmest.tuning.knobs import KernelSize, Ratios
from mmest.tuning.side.est_gradient import run_again, working_dtype
from mmest.tuning.side.network import ExpandingSideNetwork
from mmest.tuning.side.tap_norm import TapNorm, taken_in_at_once

MULTIPLE = 8  # tensor cores want widths of this kind
WIDTH = 96
GATES = ('scalar', 'channel', 'dynamic')
TAP_NORMS = ('batch', 'layer')


def _multiple(width: float) -> int:
    return max(1, round(width / MULTIPLE)) * MULTIPLE


class GateLayer(nn.Module):
    """Feature selection: z = g ⊙ a + (1 − g) ⊙ s with g in (0, 1), 0.5 at the start.

    Args:
        channels: width d of both inputs.
        kind: ``scalar`` (one learnt g), ``channel`` (one per channel), ``dynamic`` (one per channel and image, from the
            means of both inputs over the image).
    """

    def __init__(self, channels: int, kind: str) -> None:
        super().__init__()
        if kind not in GATES:
            raise ValueError(f'gate should be one of {", ".join(GATES)}, but it is {kind!r}.')
        self.choose = nn.Linear(2 * channels, channels) if kind == 'dynamic' else None
        if self.choose is None:
            self.logit = nn.Parameter(torch.zeros(1 if kind == 'scalar' else channels))
        else:
            nn.init.zeros_(self.choose.weight)
            nn.init.zeros_(self.choose.bias)

    def forward(self, new: Tensor, state: Tensor) -> Tensor:
        """Both inputs and the result are B×H×W×d."""
        if self.choose is None:
            logit = self.logit
        else:
            logit = self.choose(torch.cat([new.mean((1, 2)), state.mean((1, 2))], 1))[:, None, None]
        return torch.addcmul(state, torch.sigmoid(logit), new - state)


class MultiChannelAdapterFusion(nn.Module):
    """Adapters of several bottleneck widths side by side: Σ_i w_i · U_i φ(V_i LN(z)), w = softmax of learnt logits.

    The adapters run as one: their V_i are rows of one matrix and their U_i columns of another, scaled by w_i.

    Args:
        channels: width d.
        ratios: bottleneck i has d / ratio_i channels, at least one.
    """

    def __init__(self, channels: int, ratios: Sequence[float] = (2, 4)) -> None:
        super().__init__()
        widths = [max(1, int(channels / ratio)) for ratio in ratios]
        self.norm = nn.LayerNorm(channels)
        self.down = nn.Linear(channels, sum(widths))
        self.up = nn.Linear(sum(widths), channels)
        self.mix = nn.Parameter(torch.zeros(len(widths)))
        self.widths = widths

    def forward(self, z: Tensor) -> Tensor:
        """B×H×W×d to B×H×W×d."""
        return F.linear(F.gelu(self.down(self.norm(z))), self.up.weight * self.scales(), self.up.bias)

    def scales(self) -> Tensor:
        """w_i of each channel of the bottlenecks, side by side."""
        # Not by an index, whose backward pass sorts.
        return torch.cat([w.expand(width) for w, width in zip(self.mix.softmax(0), self.widths)])


class ESTBlock(nn.Module):
    """One EST Block: from a tap h and the side state s to the next state.

    z = gate(D h, s);  s' = z + DWConv_k×k(fusion(z)). Where no state comes in, z = D h, and there is no gate.

    Args:
        in_channels: channels C of the tap.
        channels: width d of the side network at this stage.
        first: whether no state comes in.
        ratios: see :class:`MultiChannelAdapterFusion`.
        gate: see :class:`GateLayer`.
        kernel_size: of the depthwise convolution, odd.
    """

    def __init__(
        self, in_channels: int, channels: int, first: bool, ratios: Sequence[float], gate: str, kernel_size: int
    ) -> None:
        super().__init__()
        self.reduce = nn.Linear(in_channels, channels)
        self.gate = None if first else GateLayer(channels, gate)
        self.fusion = MultiChannelAdapterFusion(channels, ratios)
        self.dwconv = DepthwiseConv2d(channels, kernel_size)

    def forward(self, h: Tensor, s: Tensor | None) -> Tensor:
        """h: B×H×W×C, normalised; s: B×H×W×d or None. Returns the next state, B×H×W×d."""
        z = self.reduce(h)
        if self.gate is not None:
            z = self.gate(z, s)
        return z + self.dwconv(self.fusion(z).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


@TUNINGS.register_module()
class EST(ExpandingSideNetwork):
    """Efficient Side-Tuning: EST Blocks beside a frozen backbone read its blocks and correct its outputs.

    Output k becomes p_k = f_k + U_k LN(s) with U_k zero at the start, so training begins at the pretrained features.

    Args:
        backbone: the backbone, of any kind whose blocks can be found.
        reduction: a stage's side width d is the width at which its blocks work (C for transformers, the 3×3
            convolution's for ResNet bottlenecks) divided by this, as the nearest multiple of 8. None: 96, or half of
            that width where it is less.
        ratios: bottleneck ratios of the fused adapters.
        gate: ``scalar``, ``channel`` or ``dynamic``.
        taps: ``block``, ``stage``, or a number n: every n-th block; see :func:`mmest.tuning.side.way.choose_taps`.
        kernel_size: of the depthwise convolutions.
        narrow_taps: read bottleneck blocks (ResNet) where they are narrow, in front of the convolution that widens
            them, but for the last of each stage: a quarter of the bytes. False: read all at their outputs.
        tap_norm: ``batch``: each channel of a tap by its mean and deviation over images and positions, without which
            the few large channels of a pretrained transformer hide the others; ``layer``: each position by those over
            its channels.
        state_norm: the LN of what corrects an output; False: the state as it is.
        recompute: keep only the inputs of each EST Block and run it again in the backward pass: less memory, more time.
            False: keep what it made.
        lr_mult: factor on the learning rate of the side network.

    Raises:
        ValueError: a knob has no such value; the blocks of the backbone cannot be found, or their resolution rises to
            that of the outputs.
    """

    acts_on = 'beside the backbone'
    source = 'Yu et al., IEEE JSTARS 2025'

    keeps_in_8_bits = True

    #: Whether what it reads changes while it trains.
    taps_drift = False

    def __init__(
        self,
        backbone: nn.Module,
        reduction: int | None = None,
        ratios: Ratios = (2, 4),
        gate: str = 'dynamic',
        taps: str | int = 1,
        kernel_size: KernelSize = 7,
        narrow_taps: bool = True,
        tap_norm: str = 'batch',
        state_norm: bool = True,
        recompute: bool = True,
        lr_mult: float = 1.0,
    ) -> None:
        super().__init__(backbone, taps, lr_mult, narrow_taps)
        if tap_norm not in TAP_NORMS:
            raise ValueError(f'tap_norm should be one of {", ".join(TAP_NORMS)}, but it is {tap_norm!r}.')
        self.recompute, self.state_norm = recompute, state_norm
        self.tap_norms = None
        if tap_norm == 'batch':
            self.tap_norms = nn.ModuleList(TapNorm(block.channels, self.taps_drift) for block in self.tapped)
        widths = [
            _multiple(min(WIDTH, block.width / 2) if reduction is None else block.width / reduction)
            for block in self.tapped
        ]
        self.blocks = nn.ModuleList(
            ESTBlock(block.channels, width, i == 0, ratios, gate, kernel_size)
            for i, (block, width) in enumerate(zip(self.tapped, widths))
        )
        self.build_state(widths)

    def forward(self, features: Sequence[Tensor], taps: Sequence[Tap], image: Tensor) -> list[Tensor]:
        with taken_in_at_once(self.tap_norms or ()):
            return super().forward(features, taps, image)

    def advance(self, i: int, h: Tensor, state: Tensor | None) -> Tensor:
        # Without gain and bias (the projection behind it has both), so backward keeps one map of the tap's width.
        h = F.layer_norm(h, h.shape[-1:]) if self.tap_norms is None else self.tap_norms[i](h)
        # In mixed precision the projection takes it so anyway, and what is kept is half as large.
        h = h.to(working_dtype(h))
        block = self.blocks[i]
        if self.recompute and self.training:
            return run_again(block, h, state)
        return block(h, state)

    def correct(self, k: int, feature: Tensor, state: Tensor) -> Tensor:
        if self.state_norm:
            state = F.layer_norm(state, state.shape[-1:])
        return super().correct(k, feature, state)
