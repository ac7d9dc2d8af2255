"""The hook that proves a training: what is frozen stayed, what trains moved, and all of it is finite."""

import math

import torch
from mmengine.hooks import Hook
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.runner import Runner
from torch import Tensor, nn

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.checkpoints.digests import changed, digest, digests
from mmest.engine.averaged_weights import teachers_of
from mmest.engine.optim import TrainableOptimWrapperConstructor
from mmest.engine.processes import bare, refuse_different_weights
from mmest.measure.parameters import tuning_table

# Steps in a row; mixed precision may meet an overflow once while its scale settles.
_NOT_FINITE = 5


class InvalidTraining(RuntimeError):
    """A training whose result is worth nothing; the message says why in a sentence."""


class TrainingGuard(Hook):
    """Proof that a run has trained what it should and nothing else.

    - At the start: a table of what is frozen and what trains; the optimizer holds exactly what trains; all processes
      hold the same weights.
    - While training: losses are finite.
    - At each checkpoint and at the end: no frozen tensor has changed a bit, every trained one is finite.
    - At the first checkpoint a warning if nothing has moved; at the end, what trains has moved.
    """

    def __init__(self) -> None:
        #: Digests of the frozen tensors of each TunedBackbone, by its path.
        self.frozen: dict[str, dict[str, str]] = {}
        self._start: dict[str, str] = {}
        self._first_step = 0
        self._bad_steps = 0
        self._asked_for_moves = False

    def before_train(self, runner: Runner) -> None:
        model = bare(runner)
        if not tuned_backbones(model):
            raise ValueError(
                'ESTHook found no TunedBackbone in the model. Wrap the backbone in the config: '
                "backbone=dict(type='TunedBackbone', backbone=dict(...), tuning=dict(type='EST'))."
            )
        for _, tuned in tuned_backbones(model):
            tuned.refuse_random_weights()
        self._check_optimizer(runner, model)
        _say_rates_left_out(runner, model)
        self.frozen = self._frozen_digests(runner)
        self._start = digests(_trained(model))
        frozen = {f'{path}.backbone.{name}': one for path, part in self.frozen.items() for name, one in part.items()}
        refuse_different_weights({**frozen, **self._start})
        self._first_step = runner.iter
        runner.logger.info(f'\n{tuning_table(model)}')

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        wrong = {name: value for name, value in _losses(outputs).items() if not math.isfinite(value)}
        self._bad_steps = self._bad_steps + 1 if wrong else 0
        if self._bad_steps == _NOT_FINITE:
            # The sum is named last: what made it so says more.
            name = next((name for name in wrong if name != 'loss'), 'loss')
            raise InvalidTraining(
                f'{name} is {wrong[name]} and has not been finite since iteration {runner.iter + 2 - _NOT_FINITE}: the '
                f'training diverged. {_REMEDY.format(rates=_rates(runner))}'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        self._prove(runner)
        if not self._asked_for_moves:
            # Not an end yet: a schedule may hold the method back at first.
            self._asked_for_moves = True
            still = self._still(bare(runner))
            if still:
                runner.logger.warning(f'Up to this checkpoint: {still}')

    def after_train(self, runner: Runner) -> None:
        model = bare(runner)
        self._prove(runner)
        still = self._still(model) if runner.iter > self._first_step else ''
        if still:
            raise InvalidTraining(still)
        tensors = sum(len(names) for names in self.frozen.values())
        runner.logger.info(f'All {tensors} frozen tensors are bit-identical to what they were before training.')

    def _prove(self, runner: Runner) -> None:
        model = bare(runner)
        for path, after in self._frozen_digests(runner).items():
            names = changed(self.frozen[path], after)
            if names:
                raise InvalidTraining(
                    f'{len(names)} frozen tensors of {path}.backbone have changed during training, first '
                    f'{names[0]}. Something outside mmest writes to the backbone; the run is not valid.'
                )
        wrong = [name for name, tensor in _written(model) if not bool(torch.isfinite(tensor).all())]
        if wrong:
            raise InvalidTraining(
                f'{len(wrong)} trained tensors hold values that are not finite, first {wrong[0]}: the training '
                f'diverged, and no checkpoint of it is written. {_REMEDY.format(rates="")}'
            )

    def _still(self, model: nn.Module) -> str:
        """What should have moved and has not, in a sentence; empty if all has."""
        if self._start and not any(digest(tensor) != self._start[name] for name, tensor in _trained(model)):
            return (
                f'None of the {len(self._start)} tensors that train has moved: every step was empty. Look at the '
                'learning rate (optim_wrapper.optimizer.lr, param_scheduler), and with --amp at the loss scale.'
            )
        for path, tuned in tuned_backbones(model):
            own = [(name, tensor) for name, tensor in _trained(model) if name.startswith(f'{path}.')]
            if own and all(digest(tensor) == self._start[name] for name, tensor in own):
                return (
                    f'None of the {len(own)} tensors that {type(tuned.method).__name__} trains in or beside {path} has '
                    'moved: no gradient has reached them, or their rate was 0. Look for what detaches or leaves out '
                    'the maps of the backbone behind it, and at optim_wrapper.paramwise_cfg.'
                )
        return ''

    @staticmethod
    def _frozen_digests(runner: Runner) -> dict[str, dict[str, str]]:
        found = {path: tuned.frozen_digests() for path, tuned in tuned_backbones(bare(runner))}
        # No gradient reaches a teacher, but what its student trains moves in it too.
        for path, student in teachers_of(runner).items():
            frozen = {name for name, _ in student.frozen_state()}
            found[path] = {name: value for name, value in found[path].items() if name in frozen}
        return found

    @staticmethod
    def _check_optimizer(runner: Runner, model: nn.Module) -> None:
        names = {id(p): name for name, p in model.named_parameters()}
        trains = {id(p) for p in model.parameters() if p.requires_grad}
        # Not optim_wrapper.param_groups: it has a group more, for logging.
        listed = [id(p) for group in runner.optim_wrapper.optimizer.param_groups for p in group['params']]
        held = set(listed)
        extra, absent = held - trains, trains - held
        if extra or absent:
            wrong = next(iter(extra or absent))
            raise ValueError(
                f'The optimizer should hold exactly the {len(trains)} parameters that train; {len(extra)} that do '
                f'not are in it, {len(absent)} that do are not, such as {names.get(wrong, "one outside the model")}. '
                "Set optim_wrapper=dict(constructor='TrainableOptimWrapperConstructor', ...)."
            )
        if len(listed) > len(held):
            twice = next(one for one in listed if listed.count(one) > 1)
            raise ValueError(
                f'The optimizer holds {len(listed) - len(held)} parameters more than once, such as {names[twice]}, and '
                'would step them as often. Set optim_wrapper=dict(paramwise_cfg=dict(bypass_duplicate=True), ...).'
            )


_REMEDY = (
    'Lower the rate{rates} (optim_wrapper.optimizer.lr, model.backbone.tuning.lr_mult), warm up longer, clip gradients '
    '(optim_wrapper.clip_grad.max_norm=1.0), and look for boxes that are not finite.'
)


def _say_rates_left_out(runner: Runner, model: nn.Module) -> None:
    """Only our constructor asks methods for their rates; one of somebody's own may set them by itself."""
    cfg = runner.cfg.get('optim_wrapper')
    if not isinstance(cfg, dict):
        return
    kind = cfg.get('constructor', 'DefaultOptimWrapperConstructor')
    kind = OPTIM_WRAPPER_CONSTRUCTORS.get(kind) if isinstance(kind, str) else kind
    if isinstance(kind, type) and issubclass(kind, TrainableOptimWrapperConstructor):
        return
    for _, tuned in tuned_backbones(model):
        factors = {tuned.method.lr_factor(name) for name, p in tuned.named_parameters() if p.requires_grad}
        if factors - {1.0}:
            times = ' to '.join(f'{one:g}' for one in sorted({min(factors), max(factors)}))
            runner.logger.warning(
                f'{type(tuned.method).__name__} wants {times} times the rate of the config (lr_mult), but '
                f'{kind.__name__} asks no method. Unless it sets that rate itself, set '
                "optim_wrapper=dict(constructor='TrainableOptimWrapperConstructor', ...)."
            )


def _trained(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, p.detach()) for name, p in model.named_parameters() if p.requires_grad]


def _written(model: nn.Module) -> list[tuple[str, Tensor]]:
    """What trains, and the statistics that norms gathered."""
    statistics = ('running_mean', 'running_var')
    return _trained(model) + [(name, b) for name, b in model.named_buffers() if name.endswith(statistics)]


def _losses(outputs: dict | None) -> dict[str, float]:
    """The losses that a step logs. RuntimeInfoHook reads them in each step as well, so on CUDA nothing waits longer."""
    return {name: torch.as_tensor(value).detach().item() for name, value in (outputs or {}).items() if 'loss' in name}


def _rates(runner: Runner) -> str:
    rates = sorted({group['lr'] for group in runner.optim_wrapper.optimizer.param_groups})
    return f' of {" and ".join(f"{rate:g}" for rate in rates)}'
