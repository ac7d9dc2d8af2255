"""What side networks have in common: a state that runs along the taps of a frozen backbone and corrects its outputs."""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmest.anatomy.blocks import Block, find_anatomy
from mmest.anatomy.bottlenecks import narrow_blocks
from mmest.anatomy.taps import Tap
from mmest.tuning.base import TuningMethod
from mmest.tuning.side.way import choose_taps, find_rise, way_of


def pool_to(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Average pooling of B×H×W×C to B×H'×W'×C, (H', W') = size, rounded up or down from H / stride as the backbone
    does.
    """
    stride = max(1, round(x.shape[1] / size[0]))
    if stride > 1:
        pooled = F.avg_pool2d(x.permute(0, 3, 1, 2), stride, ceil_mode=True, count_include_pad=False)
        x = pooled.permute(0, 2, 3, 1)
    return x[:, : size[0], : size[1]]


class StageChange(nn.Module):
    """Carries a side state to the next stage: average pooling to its resolution, then a projection to its width.

    Args:
        in_channels: width of the state.
        channels: its width in the next stage.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.project = nn.Linear(in_channels, channels)

    def forward(self, s: Tensor, size: tuple[int, int]) -> Tensor:
        """B×H×W×d to B×H'×W'×d', (H', W') = size."""
        return self.project(pool_to(s, size))


def zero_linear(in_features: int, out_features: int) -> nn.Linear:
    """A linear layer that starts at zero, so that training starts at the frozen backbone's outputs."""
    layer = nn.Linear(in_features, out_features)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def projected(state: Tensor, layer: nn.Linear) -> Tensor:
    """A linear layer of a state, B×H×W×d to B×C×H×W.

    One product per image writes it in the order in which the backbone's outputs lie in memory: neither the sum with one
    nor the gradient, which comes in that order, has to be turned.
    """
    weight = layer.weight.expand(state.shape[0], -1, -1)
    x = torch.baddbmm(layer.bias[:, None], weight, state.flatten(1, 2).transpose(1, 2))
    return x.unflatten(2, state.shape[1:3])


class SideNetwork(TuningMethod):
    """Runs a state along the tapped blocks; where a block feeds an output, the state corrects that output. An output
    from in front of all blocks stays as it is.

    A subclass builds its modules for :attr:`tapped` (blocks, in order) and :attr:`outputs` (those that a block feeds),
    and says how the state advances, how it changes stage and what it adds to an output.

    Args:
        backbone: the backbone to tune.
        taps: see :func:`mmest.tuning.side.way.choose_taps`.
        lr_mult: factor on the learning rate of the side network.
        narrow_taps: read bottlenecks where they are narrow, but for those that end a stage or feed an output.

    Raises:
        ValueError: the blocks of the backbone cannot be found, or their resolution rises to that of the outputs.
    """

    beside = True

    def __init__(self, backbone: nn.Module, taps: str | int, lr_mult: float = 1.0, narrow_taps: bool = False) -> None:
        super().__init__(backbone, lr_mult)
        self.anatomy = anatomy = find_anatomy(backbone)
        self.way = way_of(anatomy)
        self._refuse_blocks_left_out(type(backbone).__name__)
        self.tapped_blocks = {i: self.way.blocks[i] for i in choose_taps(self.way, taps)}
        if narrow_taps:
            inside = self.tapped_blocks.keys() - self.way.stage_ends
            for i, block in narrow_blocks(backbone, anatomy).items():
                if i in inside:
                    self.tapped_blocks[i] = replace(block, stage=self.tapped_blocks[i].stage)
        self.tapped: list[Block] = list(self.tapped_blocks.values())
        order = list(self.tapped_blocks)
        found = [(k, order.index(i)) for k, i in enumerate(self.way.feeding) if i is not None]
        self._corrected = [k for k, _ in found]
        self.outputs = [anatomy.outputs[k] for k in self._corrected]
        self.sources = [place for _, place in found]
        #: Whether the backbone pools or upsamples between a block and the output that it feeds.
        self._resized = [output.size != self.tapped[i].size for output, i in zip(self.outputs, self.sources)]

    def _refuse_blocks_left_out(self, kind: str) -> None:
        if len(self.way.blocks) < len(self.anatomy.used):
            raise ValueError(
                f'{type(self).__name__} carries its state to equal or lower resolutions, but the resolution of {kind} '
                f'{find_rise(self.anatomy)}, and some blocks are coarser than all outputs that they feed: their state '
                'would correct none. Use a method that reads no taps, such as Full, Partial or Frozen.'
            )

    def refuse_other_channels(self, kind: str) -> None:
        """Raise if an output has not the channels of the block that feeds it, for networks whose state has these.

        Raises:
            ValueError: naming the first such output.
        """
        for k, output, source in zip(self._corrected, self.outputs, self.sources):
            block = self.tapped[source]
            if output.channels != block.channels:
                raise ValueError(
                    f'{type(self).__name__} adds a state of the width of the blocks to the outputs, but output {k} of '
                    f'{kind} has {output.channels} channels and block "{block.name}", which feeds it, has '
                    f'{block.channels}. Use a method that projects its state to the outputs, such as EST or LST.'
                )

    def starts_stage(self, i: int) -> bool:
        """Whether tap i is the first of a stage other than the first."""
        return i > 0 and self.tapped[i].stage != self.tapped[i - 1].stage

    def forward(self, features: Sequence[Tensor], taps: Sequence[Tap], image: Tensor) -> list[Tensor]:
        outputs = list(features)
        state: Tensor | None = None
        for i, tap in enumerate(taps):
            h = tap.feature.permute(0, 2, 3, 1)
            if state is not None and self.starts_stage(i):
                state = self.change_stage(i, state, (h.shape[1], h.shape[2]))
            state = self.advance(i, h, state)
            for k, (place, source) in enumerate(zip(self._corrected, self.sources)):
                if source == i:
                    outputs[place] = self.correct(k, features[place], self._at_output(k, state, features[place]))
        return outputs

    def _at_output(self, k: int, state: Tensor, feature: Tensor) -> Tensor:
        """A state B×H×W×d at the height and width of output k, B×C×H'×W'."""
        if not self._resized[k]:
            return state
        # To a finer output it repeats itself.
        size = (feature.shape[-2], feature.shape[-1])
        return F.adaptive_avg_pool2d(state.permute(0, 3, 1, 2), size).permute(0, 2, 3, 1)

    def change_stage(self, i: int, state: Tensor, size: tuple[int, int]) -> Tensor | None:
        """The state B×H×W×d of the last stage as the first state of tap i's stage, B×H'×W'×d', (H', W') = size."""
        raise NotImplementedError

    def advance(self, i: int, h: Tensor, state: Tensor | None) -> Tensor:
        """The state behind tap i, B×H×W×d, from the tap h, B×H×W×C, and the state before, None at the first tap."""
        raise NotImplementedError

    def correct(self, k: int, feature: Tensor, state: Tensor) -> Tensor:
        """Output k from the backbone's, B×C×H×W, and the state, B×H×W×d."""
        raise NotImplementedError


class ExpandingSideNetwork(SideNetwork):
    """A side network of its own widths: output k is corrected by U_k s, U_k zero at the start.

    :meth:`build_state` sets it up for the width of the state at each tap.
    """

    def build_state(self, widths: Sequence[int]) -> None:
        """Make the layers that change stage and that project to the outputs, for the width of the state at each tap."""
        self.changes = nn.ModuleDict(
            {str(i): StageChange(widths[i - 1], widths[i]) for i in range(len(widths)) if self.starts_stage(i)}
        )
        self.expand = nn.ModuleList(
            zero_linear(widths[source], output.channels) for source, output in zip(self.sources, self.outputs)
        )

    def change_stage(self, i: int, state: Tensor, size: tuple[int, int]) -> Tensor:
        return self.changes[str(i)](state, size)

    def correct(self, k: int, feature: Tensor, state: Tensor) -> Tensor:
        return feature + projected(state, self.expand[k]).to(feature.dtype)  # type: ignore[arg-type]
