"""A frozen backbone whose outputs are recorded once and played back."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmest.anatomy.blocks import Block, find_anatomy
from mmest.anatomy.bottlenecks import narrow_blocks
from mmest.anatomy.taps import Tap, TapReader
from mmest.backbones import TunedBackbone
from mmest.tuning.base import TuningMethod
from mmest.tuning.side.way import choose_taps, way_of

from .plain import as_half

#: Of the taps that are kept: every block, but none finer than every output.
DENSITY = 1


class Recorder(TuningMethod):
    """Stands where a tuning method stood, changes nothing, and keeps what the frozen backbone made of each image.

    Args:
        backbone: the frozen backbone.

    Attributes:
        calls: of each forward pass since it was emptied, the outputs and taps of its one image.
    """

    beside = True

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__(backbone)
        anatomy = find_anatomy(backbone)
        wide = {i: anatomy.blocks[i] for i in choose_taps(way_of(anatomy), DENSITY)}
        narrow = {i: block for i, block in narrow_blocks(backbone, anatomy).items() if i in wide}
        self.tapped_blocks = {_key(i, block): block for some in (wide, narrow) for i, block in some.items()}
        self.calls: list[dict[str, Any]] = []

    @classmethod
    def watch(cls, tuned: TunedBackbone) -> 'Recorder':
        """Take the place of its method."""
        tuned.method = cls(tuned.backbone)
        tuned.taps = TapReader(tuned.method, tuned.backbone, tuned.method.tapped_blocks)
        return tuned.method

    def forward(self, features: Sequence[Tensor], taps: Sequence[Tap], image: Tensor) -> Sequence[Tensor]:
        seen = {tap.block: tap.feature for tap in taps}
        # An output that is a block's own is kept once.
        same = [next((i for i, tap in seen.items() if _equal(tap, f)), None) for f in features]
        self.calls.append(
            dict(
                taps={i: as_half(tap[0]) for i, tap in seen.items()},
                outputs=[i if i is not None else as_half(f[0]) for i, f in zip(same, features)],
            )
        )
        return features


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.equal(a, b))


class Replay(nn.Module):
    """A TunedBackbone whose backbone does not run: what it made of the images is given beforehand.

    Args:
        tuned: a method beside the backbone, or one that adds nothing.
    """

    def __init__(self, tuned: TunedBackbone) -> None:
        super().__init__()
        self.tuned = tuned
        self.queue: deque[list[dict]] = deque()

    def give(self, batches: list[list[dict]]) -> None:
        """What the next forward passes find, each the calls of a batch's images."""
        self.queue.extend(batches)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        calls = self.queue.popleft()
        tapped = self.tuned.method.tapped_blocks
        keys = {i: _key(i, block) for i, block in tapped.items()}
        missing = [i for i, key in keys.items() if key not in calls[0]['taps']]
        if missing:
            raise ValueError(
                f'Trials keep no blocks finer than every output, but {type(self.tuned.method).__name__} reads block '
                f"{min(missing)}. Use another value of taps than 'block'."
            )
        kept = {i: torch.stack([c['taps'][i] for c in calls]).float() for i in {*keys.values(), *_shared(calls[0])}}
        outputs = [
            kept[f] if isinstance(f, int) else torch.stack([c['outputs'][k] for c in calls]).float()
            for k, f in enumerate(calls[0]['outputs'])
        ]
        return tuple(self.tuned.method(outputs, [Tap(tapped[i].stage, i, kept[key]) for i, key in keys.items()], x))


def _key(i: int, block: Block) -> int:
    """Of what is read of block i: at its output, or before that where it is narrow."""
    return i if block.read_before is None else -1 - i


def _shared(call: dict) -> list[int]:
    return [f for f in call['outputs'] if isinstance(f, int)]
