"""The hook that writes and reads checkpoints of tuned models."""

import difflib
import inspect
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.checkpoints.delta import strip_frozen
from mmest.checkpoints.files import curves_from_plain, to_plain, write_sealed
from mmest.engine.kept_settings import say_kept_settings
from mmest.engine.processes import bare
from mmest.engine.resume import check_resume
from mmest.engine.training_guard import TrainingGuard
from mmest.files import remove_leftovers


class DeltaCheckpoint(Hook):
    """Checkpoints hold plain types only, and none of the frozen tensors that the pretrained file gives back; their
    files appear whole and sealed. One that cannot be resumed from is refused.

    Half-written files of a run that was killed are removed at the start.

    Args:
        guard: what has proven the frozen tensors, whose digests say which of them the pretrained file gives back.
    """

    def __init__(self, guard: TrainingGuard) -> None:
        self._guard = guard
        self._stored: list[str] = []

    def before_train(self, runner: Runner) -> None:
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                _check_arguments(hook, runner)
                write_sealed(hook, runner.work_dir)
                _find_best_here(hook, runner)
        if is_main_process():
            remove_leftovers(runner.work_dir)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        kept = strip_frozen(tuned_backbones(bare(runner)), checkpoint, self._guard.frozen)
        if kept and kept != self._stored:  # the same for every checkpoint of a run, so said at the first
            self._stored = kept
            runner.logger.warning(
                f'{len(kept)} frozen tensors are stored in the checkpoint, first {kept[0]}: the init_cfg of the '
                'backbone names no pretrained file that gives them back.'
            )
        for part in ('meta', 'message_hub', 'optimizer', 'param_schedulers'):
            if part in checkpoint:
                checkpoint[part] = to_plain(checkpoint[part], part)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        check_resume(runner, checkpoint)
        say_kept_settings(runner, checkpoint)
        if 'message_hub' in checkpoint:
            hub = checkpoint['message_hub']
            checkpoint['message_hub'] = {**hub, 'log_scalars': curves_from_plain(hub.get('log_scalars', {}))}


def _check_arguments(hook: CheckpointHook, runner: Runner) -> None:
    """It hands on whatever it does not know itself to the runner, which fails at the first checkpoint."""
    takes = inspect.signature(runner.save_checkpoint).parameters
    unknown = [name for name in hook.args if name not in takes]
    if unknown:
        near = difflib.get_close_matches(unknown[0], [*inspect.signature(CheckpointHook).parameters, *takes], n=1)
        raise ValueError(
            f'CheckpointHook takes no "{unknown[0]}", which the config gives it (default_hooks.checkpoint). '
            f'{f"Did you mean {near[0]}?" if near else "Take it out."}'
        )


def _find_best_here(hook: CheckpointHook, runner: Runner) -> None:
    """A checkpoint says where the best one was, and mmengine removes that file for a better one. Of a run that goes on
    in another folder, the best is the file of that name there; where there is none, its score is forgotten too.
    """
    if not hook.save_best or '://' in str(hook.out_dir):
        return
    elsewhere = hook.out_dir not in (None, runner.work_dir)
    folder = Path(hook.out_dir, Path(runner.work_dir).name) if elsewhere else Path(runner.work_dir)
    hub = runner.message_hub
    for name, path in list(hub.runtime_info.items()):
        if not name.startswith('best_ckpt'):
            continue
        here = folder / Path(path).name
        if here.is_file():
            hub.update_info(name, str(here))
        else:
            hub.pop_info(name)
            hub.runtime_info.pop(name.replace('best_ckpt', 'best_score'), None)
