"""What stands before a frozen backbone in training: maps that are kept are taken, the others are computed and kept."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from mmest.anatomy.taps import Tap
from mmest.engine.features.store import KEY_BYTES, FeatureStore

Pass = tuple[Sequence[Tensor], Sequence[Tap]]


@dataclass(frozen=True)
class MapKind:
    """How a map is kept.

    Attributes:
        shape: C×H×W.
        dtype: that it had, and has again.
        channels_last: whether its channels lie side by side in memory, as they do again.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    channels_last: bool

    @classmethod
    def of(cls, x: Tensor) -> 'MapKind':
        """Of a map B×C×H×W."""
        return cls(tuple(x.shape[1:]), x.dtype, not x.is_contiguous() and x.permute(0, 2, 3, 1).is_contiguous())

    def packed(self, x: Tensor) -> Tensor:
        """A map C×H×W as bfloat16 numbers in a row, on the CPU."""
        x = x.permute(1, 2, 0) if self.channels_last else x
        return x.detach().to('cpu', torch.bfloat16).contiguous().flatten()

    def unpacked(self, rows: Sequence[Tensor], device: torch.device) -> Tensor:
        """Of several images, B×C×H×W."""
        channels, height, width = self.shape
        x = torch.stack(list(rows)).to(device).to(self.dtype)
        if self.channels_last:
            return x.view(-1, height, width, channels).permute(0, 3, 1, 2)
        return x.view(-1, channels, height, width)


class Layout:
    """Which maps of a pass are kept, in which order; an output that is a tap's own map is kept once.

    Args:
        features: outputs of a pass.
        taps: of the same.
    """

    def __init__(self, features: Sequence[Tensor], taps: Sequence[Tap]) -> None:
        self.places = [(tap.stage, tap.block) for tap in taps]
        self.same = [next((i for i, tap in enumerate(taps) if _equal(tap.feature, f)), None) for f in features]
        self.kinds = [MapKind.of(x) for x in self._kept(features, taps)]
        self.numbers = sum(prod(kind.shape) for kind in self.kinds)

    def _kept(self, features: Sequence[Tensor], taps: Sequence[Tap]) -> list[Tensor]:
        own = [feature for feature, same in zip(features, self.same) if same is None]
        return [*(tap.feature for tap in taps), *own]

    def pack(self, features: Sequence[Tensor], taps: Sequence[Tap]) -> list[np.ndarray]:
        """The bytes of each image's maps."""
        maps = self._kept(features, taps)
        rows = [[kind.packed(image) for image in x] for kind, x in zip(self.kinds, maps)]
        return [torch.cat(image).view(torch.uint8).numpy() for image in zip(*rows)]

    def unpack(self, images: Sequence[np.ndarray], device: torch.device) -> Pass:
        """Outputs and taps of the images whose bytes are given."""
        sizes = [prod(kind.shape) for kind in self.kinds]
        rows = [torch.from_numpy(np.array(image)).view(torch.bfloat16).split(sizes) for image in images]
        maps = [kind.unpacked(some, device) for kind, some in zip(self.kinds, zip(*rows))]
        taps = [Tap(stage, block, x) for (stage, block), x in zip(self.places, maps)]
        own = iter(maps[len(taps) :])
        return [next(own) if same is None else maps[same] for same in self.same], taps

    def describe(self) -> dict:
        """All that the bytes mean, in words and numbers."""
        kinds = [[list(kind.shape), str(kind.dtype), kind.channels_last] for kind in self.kinds]
        return dict(taps=[list(place) for place in self.places], same=self.same, maps=kinds)


class FeatureCache:
    """Gives a frozen backbone's maps of a batch, in bfloat16's precision, from a store as far as it has them.

    An image is known by its bytes as the backbone is given them: a picture or a step of the pipeline that has changed
    finds no maps of before.

    Args:
        store: the files.
        layout: of the maps.
        size: height and width of the images that are kept.
    """

    def __init__(self, store: FeatureStore, layout: Layout, size: tuple[int, int]) -> None:
        self.store, self.layout, self.size = store, layout, size
        #: Images for which the backbone did not run, and for which it did.
        self.found = self.computed = 0
        self._said: set[str] = set()
        self._keeps = True

    def __call__(self, x: Tensor, run: Callable[[Tensor], Pass]) -> Pass:
        """Outputs and taps of images B×C×H×W; ``run`` computes them."""
        if tuple(x.shape[-2:]) != self.size:
            self._say(
                f'Images of {x.shape[-2]}×{x.shape[-1]} are not kept: the feature cache is for {self.size[0]}×'
                f'{self.size[1]}. Have the pipeline give one size.'
            )
            return run(x)
        keys = [key_of(image) for image in x]
        images = [self._kept(key) for key in keys]
        missing = [i for i, image in enumerate(images) if image is None]
        for i in missing:
            # Alone: what else is in a batch changes the last bits of a map, and a map is to be the same in every run.
            images[i] = self.layout.pack(*run(x[i : i + 1]))[0]
            self._keep(keys[i], images[i])
        self.found += len(x) - len(missing)
        self.computed += len(missing)
        return self.layout.unpack(images, x.device)

    def _kept(self, key: bytes) -> np.ndarray | None:
        try:
            return self.store.get(key)
        except OSError as error:  # its folder was removed, say
            self._give_up(error)
            return None

    def _keep(self, key: bytes, image: np.ndarray) -> None:
        if not self._keeps:
            return
        try:
            has_room = self.store.put(key, image)
        except OSError as error:
            self._give_up(error)
            return
        if not has_room:
            self._say(
                'The feature cache is full: images vary more than its views allow, or have changed while another '
                'training uses it, so some are computed each time. Is there random work outside of the pipeline?'
            )
        elif self.store.reused:
            self._say(
                'The feature cache was full of other images than come now: pictures have changed, or there is random '
                'work outside of the pipeline. New maps take the place of those that this training has not asked for.',
                about='changes',
            )

    def _give_up(self, error: OSError) -> None:
        self._keeps = False
        self._say(f'The feature cache keeps nothing more: {error.strerror}. The training goes on without.')

    def _say(self, text: str, about: str = 'loss') -> None:
        """Say the first thing of its kind: that maps are not kept, or that others make room."""
        if about not in self._said:
            self._said.add(about)
            print_log(text, logger='current', level=30)


def key_of(image: Tensor) -> bytes:
    """A digest of an image's type, shape and bytes."""
    head = f'{image.dtype}{tuple(image.shape)}'.encode()
    body = image.detach().cpu().contiguous().view(torch.uint8).numpy()
    digest = hashlib.blake2b(head, digest_size=KEY_BYTES)
    digest.update(body)
    return digest.digest()


def _equal(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool(torch.equal(a, b))
