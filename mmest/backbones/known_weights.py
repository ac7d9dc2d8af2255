"""Where the weights of a partly frozen backbone are from, and in which precision they are kept."""

from collections.abc import Callable
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor

from mmest.backbones.frozen_precision import FrozenPrecision
from mmest.backbones.given_weights import given_by_file, names_in, say_what_is_rounded, share_of
from mmest.backbones.partly_frozen import PartlyFrozen
from mmest.backbones.random_layers import find_random_layer
from mmest.backbones.sharded import shard_blocks
from mmest.checkpoints.compiled_names import plain_name
from mmest.checkpoints.delta import cast_to
from mmest.checkpoints.pretrained import MIN_COVERAGE, Coverage, load_pretrained, pretrained_source


class KnownWeights(PartlyFrozen):
    """A partly frozen backbone that knows which of its weights a file or a checkpoint gave.

    Args:
        allow_random, frozen_dtype: see :class:`mmest.backbones.tuned_backbone.TunedBackbone`.

    Attributes:
        coverage: what the pretrained file covers; None without one.
        precision: in which the frozen weights are kept.
    """

    def __init__(self, allow_random: bool, frozen_dtype: str | None) -> None:
        super().__init__()
        self.allow_random = allow_random
        self.precision = FrozenPrecision(frozen_dtype)
        self.coverage: Coverage | None = None
        self._restorable: dict[str, str] = {}
        self._has_weights = False
        self._given: set[str] = set()  # plain names of the parameters that a file or a checkpoint gave
        self._warned = False

    def frozen_digests(self) -> dict[str, str]:
        """Digest of each of :meth:`frozen_state`, of the tensor that the pretrained file gave where this is that one,
        rounded by ``frozen_dtype``.
        """
        return self.precision.digests(self.frozen_state())

    def use_precision_of_file(self) -> None:
        """Keep frozen weights in float32 from here on; what was rounded stays so until weights are loaded."""
        self.precision.widen(self.backbone)
        self.precision = FrozenPrecision(None)

    def restorable(self) -> dict[str, str]:
        """Digests of the frozen tensors as the pretrained file gives them: what a delta checkpoint can leave out."""
        return self._restorable

    def refuse_random_weights(self) -> None:
        """Stop a training beside noise.

        Raises:
            ValueError: part of the backbone is frozen, neither a pretrained file nor a checkpoint has given it weights,
                or one of its layers, and ``allow_random`` is not set.
        """
        if self.allow_random or not any(True for _ in self.frozen_state()):
            return
        kind = type(self.backbone).__name__
        if not self._has_weights:
            raise ValueError(
                f'{kind} is frozen by {type(self.method).__name__} and has random weights: its init_cfg names no file, '
                "and load_from brought none. Name one: backbone=dict(type='TunedBackbone', backbone=dict(..., "
                "init_cfg=dict(type='Pretrained', checkpoint=...))); or allow it: dict(type='TunedBackbone', "
                'allow_random=True, ...).'
            )
        layer = find_random_layer(self, self._given)
        if layer is not None:
            raise ValueError(
                f'"{layer}" of {kind} is frozen by {type(self.method).__name__} and random: '
                f'{self.coverage.source if self.coverage else "load_from"} does not have it, or not in its shape '
                f'{tuple(self.backbone.get_parameter(layer).shape)}, and the maps depend on it. Build the backbone as '
                'the file has it (in_channels, say), or name a file that fits; or allow it: '
                "dict(type='TunedBackbone', allow_random=True, ...)."
            )

    def load_backbone(self) -> None:
        """Give the backbone the weights that its ``init_cfg`` names (or a fresh start, if it names none)."""
        self.precision.widen(self.backbone)
        cast = cast_to(self.backbone)
        if cast is not None:
            self.backbone.float()
        self.coverage = load_pretrained(self.backbone)
        self._has_weights = self.coverage is not None
        self._given, self._restorable = set(), {}
        if self.coverage is not None:
            lost = set(self.coverage.missing)
            self._given = {plain_name(name) for name, _ in self.backbone.named_parameters() if name not in lost}
            self._restorable = given_by_file(self.backbone, self.coverage, self.frozen_state())
        if not self.precision.waits:
            self.precision.narrow(self.backbone)
        self.precision.remember_rounded(self._restorable, self.frozen_state())
        if cast is not None:
            self._cast(lambda: self.backbone.to(cast))

    def _cast(self, to: Callable[[], Any]) -> None:
        of_file = self.frozen_digests() if self._restorable else {}
        to()
        self.precision.remember(of_file, self.frozen_state())

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> 'KnownWeights':
        """What ``model.bfloat16()``, ``model.to(...)`` and the like call. Cast, frozen tensors are still the file's."""
        apply = super()._apply
        if fn(torch.empty(0, dtype=torch.float32)).dtype == torch.float32:
            apply(fn, recurse)
        else:
            self._cast(lambda: apply(fn, recurse))
        return self

    def settle(self) -> None:
        """Keep frozen weights as ``frozen_dtype`` says, where that waits for the first run of the backbone."""
        if self.precision.waits:
            given = self.frozen_digests() if self._restorable else {}
            self.precision.narrow(self.backbone)
            self.precision.remember(given, self.frozen_state())

    def shard(self) -> int:
        """Spread over all processes what the pretrained file gave the backbone's blocks: each keeps a part, and has a
        block whole while it runs. Proof and fingerprints are as before; of each tensor a process proves its own part.

        Returns:
            How many tensors are spread.
        """
        whole = self.frozen_digests()
        spread = shard_blocks(self.backbone, {name for name, one in whole.items() if self._restorable.get(name) == one})
        if spread:
            self.precision.remember(whole, self.frozen_state())
        return spread

    def settle_what_is_given(self) -> None:
        """:meth:`settle`, once there are weights: some models look at maps of random ones while they are built."""
        if self._is_init or self._has_weights:
            self.settle()

    def take_note_of(self, state_dict: dict[str, Tensor], prefix: str) -> None:
        """Note which of the backbone's weights a state dict, under a prefix, gives."""
        say_what_is_rounded(self.precision, self.backbone, state_dict, prefix)
        self._given |= names_in(self.backbone, state_dict, prefix)
        self._has_weights = self._has_weights or share_of(self.backbone, self._given) >= MIN_COVERAGE

    def warn_of_random_weights(self) -> None:
        """Say once that the backbone runs without the weights that its config names."""
        if not (self._has_weights or self._warned) and pretrained_source(self.backbone) is not None:
            self._warned = True
            print_log(
                f'{type(self.backbone).__name__} runs with random weights: neither init_weights() nor a '
                f'checkpoint has given it "{pretrained_source(self.backbone)}".',
                logger='current',
                level=30,
            )
