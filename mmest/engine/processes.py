"""Training in several processes: each has the frozen part from the same file, and none sends it to another."""

from typing import Any

import torch
from mmengine.dist import all_gather_object, all_reduce_params, broadcast
from mmengine.model import MMDistributedDataParallel, is_model_wrapper
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.checkpoints.digests import changed, fingerprint


def unwrapped(model: nn.Module) -> nn.Module:
    """A model without what torch or mmengine put around it: for several processes, or by ``torch.compile``. Names of
    its tensors are then its own.
    """
    while True:
        if is_model_wrapper(model):
            model = model.module
        elif '_orig_mod' in model._modules:
            model = model._orig_mod
        else:
            return model


def bare(runner: Runner) -> nn.Module:
    """The model of a runner, :func:`unwrapped`."""
    return unwrapped(runner.model)


def frozen_names(model: nn.Module) -> set[str]:
    """Names of the frozen parameters and buffers, as the model's state dict has them."""
    return {f'{path}.backbone.{name}' for path, tuned in tuned_backbones(model) for name, _ in tuned.frozen_state()}


@MODEL_WRAPPERS.register_module()
class TunedDataParallel(MMDistributedDataParallel):
    """Data parallel training that neither broadcasts nor reduces what is frozen. Statistics that BatchNorm gathers are
    the mean of all processes' after every step, so that what is validated is what is saved.

    Args:
        module: the model.
        **more: arguments of ``MMDistributedDataParallel``.
    """

    def __init__(self, module: nn.Module, **more: Any) -> None:
        module._ddp_params_and_buffers_to_ignore = sorted(frozen_names(module))
        super().__init__(module, **more)
        norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
        self._norms = [norm for norm in norms if not isinstance(norm, nn.SyncBatchNorm)]

    def train_step(self, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
        losses = super().train_step(*args, **kwargs)
        # Here and not in a hook, so that EMAHook and CheckpointHook find them done, whatever their order. Frozen norms
        # are in eval mode.
        gather = [norm for norm in self._norms if norm.training]
        all_reduce_params([value for norm in gather for value in (norm.running_mean, norm.running_var)], op='mean')
        return losses


class TunedRunner(Runner):
    """Mmengine's runner; of the starting weights, its processes are sent what trains and no more."""

    def _init_model_weights(self) -> None:
        model = bare(self)
        if not hasattr(model, 'init_weights'):
            return
        model.init_weights()
        frozen = frozen_names(model)
        for name, tensor in model.state_dict().items():
            if name not in frozen:
                broadcast(tensor)


class ScoringRunner(TunedRunner):
    """Leaves the config that a training wrote in its work folder: that of a test names a checkpoint, and perhaps other
    data.
    """

    def dump_config(self) -> None:
        """Nothing is written."""


def refuse_different_weights(digests: dict[str, str]) -> None:
    """Stop a training whose processes do not start from the same weights.

    Args:
        digests: of the tensors of this process, by name.

    Raises:
        ValueError: in every process, where one has other tensors than the first.
    """
    there = all_gather_object(fingerprint(digests))
    wrong = next((rank for rank, one in enumerate(there) if one != there[0]), None)
    if wrong is None:
        return
    everyone = all_gather_object(digests)
    names = changed(everyone[0], everyone[wrong])
    raise ValueError(
        f'Process {wrong} starts from other weights than process 0: {len(names)} tensors differ, first {names[0]}. Is '
        'the pretrained file (and load_from) the same on every machine?'
    )
