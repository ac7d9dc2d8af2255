"""The hook that reports, guards and saves a tuned model."""

from mmengine.dist import is_main_process
from mmengine.hooks import EMAHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.checkpoints.delta import strip_frozen
from mmest.checkpoints.digests import changed, digests
from mmest.checkpoints.files import curves_from_plain, to_plain
from mmest.engine.resume import reseed_epoch, reseed_iteration
from mmest.files import remove_leftovers
from mmest.frameworks import replay_when_resuming
from mmest.measure.memory.allocator import RunningPeak
from mmest.measure.parameters import tuning_table


def _bare(runner: Runner) -> nn.Module:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


@HOOKS.register_module()
class ESTHook(Hook):
    """For every training of a model with a TunedBackbone, whatever its method.

    - At the start: a table of what is frozen and what trains; checks that the optimizer holds exactly what trains;
      half-written files of a run that was killed are removed.
    - While training: a running maximum of the allocator's memory on CUDA; random numbers that a resumed run repeats.
    - Checkpoints: plain types only, and without the frozen tensors that the pretrained file gives back.
    - At each checkpoint and at the end: proof that no frozen tensor has changed.

    Its priority lies between EMAHook, which swaps averaged weights into the checkpoint first, and LoggerHook, which
    resets CUDA's peak statistics after.
    """

    priority = 55

    def __init__(self) -> None:
        self._frozen: dict[str, dict[str, str]] = {}
        self._peak: RunningPeak | None = None

    def before_train(self, runner: Runner) -> None:
        model = _bare(runner)
        if not tuned_backbones(model):
            raise ValueError(
                'ESTHook found no TunedBackbone in the model. Wrap the backbone in the config: '
                "backbone=dict(type='TunedBackbone', backbone=dict(...), tuning=dict(type='EST'))."
            )
        self._check_order(runner)
        self._warn_of_lasting_workers(runner)
        self._check_recomputation(runner, model)
        self._check_optimizer(runner, model)
        replay_when_resuming(runner.train_loop)
        if is_main_process():
            remove_leftovers(runner.work_dir)
        self._frozen = self._frozen_digests(model)
        self._peak = RunningPeak()
        runner.logger.info(f'\n{tuning_table(model)}')

    def before_train_epoch(self, runner: Runner) -> None:
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            reseed_epoch(runner)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch=None) -> None:
        reseed_iteration(runner)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self._peak.update()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        model = _bare(runner)
        kept = strip_frozen(tuned_backbones(model), checkpoint, self._prove_frozen(model))
        if kept:
            runner.logger.warning(
                f'{len(kept)} frozen tensors are stored in the checkpoint, first {kept[0]}: the init_cfg of the '
                'backbone '
                'names no pretrained file that gives them back.'
            )
        for part in ('meta', 'message_hub', 'optimizer', 'param_schedulers'):
            if part in checkpoint:
                checkpoint[part] = to_plain(checkpoint[part], part)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if 'message_hub' in checkpoint:
            hub = checkpoint['message_hub']
            checkpoint['message_hub'] = {**hub, 'log_scalars': curves_from_plain(hub.get('log_scalars', {}))}

    def after_train(self, runner: Runner) -> None:
        self._prove_frozen(_bare(runner))
        tensors = sum(len(names) for names in self._frozen.values())
        runner.logger.info(f'All {tensors} frozen tensors are bit-identical to what they were before training.')
        if self._peak.value:
            runner.logger.info(
                f'Largest memory of the CUDA allocator over the training: {self._peak.value / 2**20:.0f} MiB.'
            )

    @staticmethod
    def _frozen_digests(model: nn.Module) -> dict[str, dict[str, str]]:
        return {path: digests(tuned.frozen_state()) for path, tuned in tuned_backbones(model)}

    def _prove_frozen(self, model: nn.Module) -> dict[str, dict[str, str]]:
        now = self._frozen_digests(model)
        for path, after in now.items():
            names = changed(self._frozen[path], after)
            if names:
                raise RuntimeError(
                    f'{len(names)} frozen tensors of {path}.backbone have changed during training, first '
                    f'{names[0]}. Something outside mmest writes to the backbone; the run is not valid.'
                )
        return now

    def _check_order(self, runner: Runner) -> None:
        hooks = runner.hooks
        if any(isinstance(hook, EMAHook) for hook in hooks[hooks.index(self) :]):
            raise ValueError(
                'EMAHook must run before ESTHook, so that averaged weights are in the checkpoint when the '
                'frozen ones are taken out. Give EMAHook a priority below 55, or its default.'
            )

    @staticmethod
    def _warn_of_lasting_workers(runner: Runner) -> None:
        if isinstance(runner.train_loop, EpochBasedTrainLoop) and runner.train_dataloader.persistent_workers:
            runner.logger.warning(
                'train_dataloader.persistent_workers is True: the workers carry their random numbers from epoch to '
                'epoch, so '
                'a resumed training augments otherwise than one that was never interrupted. Set it to False to '
                'repeat losses.'
            )

    @staticmethod
    def _check_recomputation(runner: Runner, model: nn.Module) -> None:
        for name in runner.cfg.get('activation_checkpointing') or ():
            for path, _ in tuned_backbones(model):
                if name == path or name.startswith(f'{path}.') or path.startswith(f'{name}.'):
                    raise ValueError(
                        f'activation_checkpointing names "{name}", but mmengine\'s is reentrant: behind a frozen '
                        'backbone '
                        'gradients vanish in silence. Use the recompute option of EST, or with_cp of the backbone for '
                        'full fine-tuning.'
                    )

    @staticmethod
    def _check_optimizer(runner: Runner, model: nn.Module) -> None:
        names = {id(p): name for name, p in model.named_parameters()}
        trains = {id(p) for p in model.parameters() if p.requires_grad}
        # Not optim_wrapper.param_groups: it has a group more, for logging.
        held = {id(p) for group in runner.optim_wrapper.optimizer.param_groups for p in group['params']}
        extra, absent = held - trains, trains - held
        if extra or absent:
            wrong = next(iter(extra or absent))
            raise ValueError(
                f'The optimizer should hold exactly the {len(trains)} parameters that train; {len(extra)} that do '
                'not are '
                f'in it, {len(absent)} that do are not, such as {names.get(wrong, "one outside the model")}. Set '
                "optim_wrapper=dict(constructor='TrainableOptimWrapperConstructor', ...)."
            )
