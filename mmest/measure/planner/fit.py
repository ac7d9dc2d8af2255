"""What a training step needs: its backbone on the meta device, and the rest from small real runs."""

import numpy as np
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmest.measure.memory.categories import TRANSIENT
from mmest.measure.memory.live import LiveTensorCounter, tensors_in

from .head import AFTER, BACKWARD, BEFORE, FORWARD, HELD, OPTIMIZER, Head
from .meta_backbone import BackboneMemory, MetaBackbone
from .remembered import RememberedResults


class OptimizerMemory:
    """What an optimizer needs for parameters without data, beside weights and gradients.

    Args:
        optim_wrapper: over these and others; it is used up.
        backbone: whose parameters they are.
        device_type: where they say that they are.
        remembered: results of optimizers before this one.
        fused: whether it updates real weights in place, each by one operator, which torch does not do without data.

    Attributes:
        states: bytes that it keeps.
        transient: bytes at most while it works.
    """

    def __init__(
        self,
        optim_wrapper: OptimWrapper,
        backbone: nn.Module,
        device_type: str,
        remembered: RememberedResults,
        fused: bool,
    ) -> None:
        optimizer, own = optim_wrapper.optimizer, [p for p in backbone.parameters() if p.requires_grad]
        for parameter in own:
            parameter.grad = torch.empty_like(parameter)
        with remembered:
            optimizer.step()
        counter = LiveTensorCounter(device_type)
        counter.run = remembered.result
        with counter:
            for tensor in tensors_in([own, [p.grad for p in own], [optimizer.state[p] for p in own]]):
                counter.label(tensor, TRANSIENT)
            before = counter.total
            counter.restart_peak()
            optimizer.step()
        self.states = sum(tensor.nbytes for p in own for tensor in tensors_in(optimizer.state[p]))
        self.transient = 0 if fused else counter.peak.total - before
        for parameter in own:
            parameter.grad = None


class StepFit:
    """The live peak of a training step as a function of batch and size, to which images are padded as in training.

    Args:
        backbone: under a method.
        optimizer: of what trains in and beside the backbone.
        head: the rest.

    Attributes:
        least_batch: images that a step needs.
    """

    def __init__(self, backbone: MetaBackbone, optimizer: OptimizerMemory, head: Head) -> None:
        self._backbone, self._optimizer, self._head = backbone, optimizer, head
        self.least_batch = head.least_batch

    def peak(self, batch_size: int, size: tuple[int, int]) -> int:
        """Predicted bytes."""
        size = self._head.padded(size)
        return self._peak(self._backbone.memory(batch_size, size), batch_size, size)

    def estimate(self, batch_size: int, size: tuple[int, int]) -> int:
        """About as many, from the nearest size that has been looked at: in no time."""
        size = self._head.padded(size)
        return self._peak(self._backbone.estimate(batch_size, size), batch_size, size)

    def _peak(self, memory: BackboneMemory, batch_size: int, size: tuple[int, int]) -> int:
        fit = self._head.fit(memory.learns)
        rest, outputs = fit.tops(batch_size, size).T
        held = outputs[fit.at[HELD]]
        freed = ~np.isclose(held, outputs.max())
        needed = {
            BEFORE: memory.weights,
            FORWARD: memory.forward.max(),
            # Outputs that the backbone keeps anyway are not freed when the neck lets go of them; of others, what they
            # alone keep is freed too.
            HELD: np.where(freed, memory.kept + np.minimum(held, memory.held - memory.kept), memory.held),
            BACKWARD: memory.backward.max(),
            AFTER: memory.after,
        }
        tops = [(rest[fit.at[state]] + more).max(initial=0) for state, more in needed.items()]
        # One parameter at a time, be it of the backbone or of the rest.
        updates = rest[fit.at[OPTIMIZER]]
        tops.append(memory.after + updates.min() + max(np.ptp(updates), self._optimizer.transient))
        return round(max(tops) + self._optimizer.states)
