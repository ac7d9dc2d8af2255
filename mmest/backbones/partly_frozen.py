"""What is frozen of a backbone that a method tunes, and stays so."""

from collections.abc import Callable, Iterator
from itertools import chain

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmest.anatomy.hooks import override
from mmest.backbones.frozen_norm import is_frozen_norm, normed_by_constants
from mmest.backbones.sharded import own_part
from mmest.tuning import TuningMethod


def _stay_in_eval_mode(train: Callable, module: nn.Module, mode: bool = True) -> nn.Module:
    """What ``train`` is in a frozen module; those inside it decide for themselves."""
    train(module, mode)
    module.training = False
    return module


class PartlyFrozen(BaseModule):
    """A ``backbone`` of which its ``method`` says what trains; the rest takes no gradients and stays in eval mode.

    A subclass sets both, then calls :meth:`freeze`.
    """

    backbone: nn.Module
    method: TuningMethod

    def freeze(self) -> None:
        """Freeze what the method does not train: no gradients, eval mode from here on.

        Raises:
            ValueError: the method lies beside the backbone and trains a parameter inside.
        """
        self.backbone.train()  # which leaves some modules in eval mode by its own choice (norm_eval), and freezes some
        trained = {id(p) for p in self.method.trained_parameters(self.backbone)}
        for name, p in self.backbone.named_parameters():
            p.requires_grad_(id(p) in trained)
            if self.method.beside and p.requires_grad:
                raise ValueError(
                    f'{type(self.method).__name__} lies beside a frozen backbone, but it also trains '
                    f'"{name}" inside: the graph would run through the whole backbone at the memory of full '
                    'fine-tuning. A method beside the backbone must train nothing of it.'
                )
        trained_modules = {m for root in self.method.trained_modules(self.backbone) for m in root.modules()}
        self._in_eval_mode = set()
        for name, module in self.backbone.named_modules():
            if module not in trained_modules or not module.training:
                self._in_eval_mode.add(name)
                override(module, 'train', _stay_in_eval_mode)
                if self.method.trains_inside() and is_frozen_norm(module):
                    override(module, 'forward', normed_by_constants)
        self.train(self.training)

    def train(self, mode: bool = True) -> 'PartlyFrozen':
        """Set the mode of all that trains; what is frozen stays in eval mode (no drop path, no BatchNorm
        statistics), and so does what the backbone itself keeps there (``norm_eval``).
        """
        flags = [(p, p.requires_grad) for p in self.backbone.parameters()]
        super().train(mode)
        for p, trains in flags:
            p.requires_grad_(trains)  # some backbones freeze here (frozen_stages), but the method says what trains
        self.keep_in_eval_mode()
        return self

    def keep_in_eval_mode(self) -> None:
        """Put modules there that others have put in since (SyncBN for BN, say), which come in a mode of their own."""
        for name, module in self.backbone.named_modules():
            if module.training and name in self._in_eval_mode:
                module.training = False

    def frozen_state(self) -> Iterator[tuple[str, Tensor]]:
        """(name inside the backbone, tensor) of every parameter and persistent buffer that does not train; of what is
        sharded, the part that this process keeps.
        """
        trained = self.trained_inside()
        for name, tensor in self.backbone.state_dict(keep_vars=True).items():
            if id(tensor) not in trained:
                yield name, own_part(tensor.detach())

    def trained_inside(self) -> set[int]:
        """Identities of the backbone's parameters and buffers that train."""
        buffers = {id(b) for module in self.method.trained_modules(self.backbone) for b in module.buffers()}
        return buffers | {id(p) for p in self.backbone.parameters() if p.requires_grad}

    def take_frozen_from(self, twin: 'PartlyFrozen') -> None:
        """Hold the bytes of what is frozen in a twin, of the same config."""
        trained = twin.trained_inside()
        own = {**dict(self.backbone.named_parameters()), **dict(self.backbone.named_buffers())}
        for name, value in chain(twin.backbone.named_parameters(), twin.backbone.named_buffers()):
            if id(value) not in trained:
                own[name].data.copy_(value.data)
