"""An optimizer over what trains, and nothing else."""

import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.logging import MMLogger
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIMIZERS
from torch import Tensor, nn
from torch.optim import Adagrad, Optimizer

from mmest.backbones.tuned_backbone import TunedBackbone, tuned_backbones

# Where torch's optimizers can step all weights by one operator. Of this one many versions of torch have it on CPUs
# alone, and say so at the first step.
_FUSED_ON = {'cpu', 'cuda'}
_FUSED_ON_A_CPU = {Adagrad}

#: The arguments that choose how an optimizer steps, not what a step is.
WAYS = {'fused', 'foreach', 'differentiable'}


@contextmanager
def _no_line_per_tensor() -> Iterator[None]:
    """Keep mmengine from logging a line for every frozen tensor and every option of every parameter."""

    def keep(record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return 'is skipped since' not in text and not text.startswith('paramwise_options')

    logger = MMLogger.get_current_instance()
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


def merge_groups(groups: list[dict]) -> list[dict]:
    """Join parameter groups of equal options; the order of first appearance stays."""
    merged: dict[tuple, dict] = {}
    for group in groups:
        key = tuple(sorted((name, repr(value)) for name, value in group.items() if name != 'params'))
        if key in merged:
            merged[key]['params'] += group['params']
        else:
            merged[key] = {**group, 'params': list(group['params'])}
    return list(merged.values())


def is_vector(parameter: Tensor) -> bool:
    """Whether a parameter is a number or a row of numbers, whatever it is shaped for broadcasting: a scale, a shift, a
    gate, a bias.
    """
    return sum(length > 1 for length in parameter.shape) <= 1


def _spared(tuned: TunedBackbone) -> set[int]:
    """Ids of the parameters that never decay: vectors of the method, and those of the backbone where it trains no more
    than these (its norms, its biases), which would be pulled away from the pretrained features.
    """
    inside = [p for p in tuned.backbone.parameters() if p.requires_grad]
    chosen = inside if all(map(is_vector, inside)) else []
    return {id(p) for p in (*chosen, *filter(is_vector, tuned.method.parameters()))}


def apply_methods(groups: list[dict], model: nn.Module, lr: float | None) -> None:
    """Give the tuning methods' parameters their own rates, and no decay to their vectors, in place.

    Args:
        groups: of one parameter each.
        model: the model that they are of.
        lr: the rate of groups that state none.
    """
    for _, tuned in tuned_backbones(model):
        factors = {id(p): tuned.method.lr_factor(name) for name, p in tuned.named_parameters()}
        spared = _spared(tuned)
        for group in groups:
            if id(group['params'][0]) in spared:
                group['weight_decay'] = 0.0
            factor = factors.get(id(group['params'][0]), 1.0)
            if factor != 1:
                group['lr'] = group.get('lr', lr) * factor


def _step_as_built(optimizer: Optimizer, state: dict) -> dict:
    """A state that an optimizer is about to load, whose groups step as it was built to. torch would have them step as
    those of the checkpoint did, on another machine or by another version; but GradScaler leaves gradients scaled for an
    optimizer that was built fused, which no other step takes.
    """
    ways = {way: value for way, value in optimizer.defaults.items() if way in WAYS}
    return dict(state, param_groups=[{**group, **ways} for group in state['param_groups']])


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class TrainableOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's default constructor, over trainable parameters only.

    All options of ``paramwise_cfg`` work as they do there; a parameter that several modules share is stepped once, by
    the options of the first. The ``lr_mult`` of a tuning method multiplies the learning rate of what it trains in and
    beside the backbone. Vectors among a method's own parameters never decay: scales that start at 1 and gates would be
    pulled to 0, away from the pretrained features. Nor do norms and biases of the backbone under a method that trains
    these alone. Groups of equal options are merged. An optimizer that has ``fused`` gets it, unless it is told how to
    step: a side network's weights are many and small, and one operator for each takes longer than what it does. How it
    steps stays so when it loads a checkpoint.

    Args:
        optim_wrapper_cfg: config of the optimizer wrapper with its optimizer.
        paramwise_cfg: options by parameter, or None.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        # mmengine hands model.parameters() to the optimizer, frozen ones too, where no option is set.
        self.paramwise_cfg = dict(dict(custom_keys={}, bypass_duplicate=True), **(self.paramwise_cfg or {}))
        kind = self.optimizer_cfg['type']
        found = OPTIMIZERS.get(kind) if isinstance(kind, str) else kind
        # Where there is none, building it says so.
        self._arguments = inspect.signature(found).parameters if found else {}
        self._fused_on = {'cpu'} if found in _FUSED_ON_A_CPU else _FUSED_ON
        if self.base_lr is None and 'lr' in self._arguments:
            self.base_lr = self._arguments['lr'].default

    def __call__(self, model: nn.Module) -> OptimWrapper:
        devices = {parameter.device.type for parameter in model.parameters()}
        if 'fused' in self._arguments and devices <= self._fused_on and not WAYS & self.optimizer_cfg.keys():
            self.optimizer_cfg = dict(self.optimizer_cfg, fused=True)
        optim_wrapper = super().__call__(model)
        optim_wrapper.optimizer.register_load_state_dict_pre_hook(_step_as_built)
        return optim_wrapper

    def add_params(
        self, params: list[dict], module: nn.Module, prefix: str = '', is_dcn_module: int | float | None = None
    ) -> None:
        if prefix:
            super().add_params(params, module, prefix, is_dcn_module)
            return
        with _no_line_per_tensor():
            super().add_params(params, module, prefix, is_dcn_module)
        apply_methods(params, module, self.base_lr)
        params[:] = merge_groups(params)
