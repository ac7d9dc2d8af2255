"""Resuming to the same losses as a run that was never interrupted, and from nothing else."""

from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.checkpoints.delta import DELTA_KEY, decode_info
from mmest.checkpoints.files import is_complete
from mmest.checkpoints.safe import load_file
from mmest.engine.processes import bare
from mmest.engine.work_folder import numbered_checkpoints
from mmest.registry import TUNINGS


def latest_complete_checkpoint(work_dir: str | Path) -> Path | None:
    """The checkpoint to resume from: the one that ``last_checkpoint`` names if it is whole, else the newest whole
    one.
    """
    work_dir = Path(work_dir)
    marker = work_dir / 'last_checkpoint'
    if marker.is_file():
        named = Path(marker.read_text(errors='replace').strip())  # a crash may leave any bytes
        for path in (work_dir / named.name, named):  # the folder may be a copy; or the hook writes into another one
            if path.is_file() and is_complete(path):
                return path
    complete = [path for path in numbered_checkpoints(work_dir) if is_complete(path)]
    return max(complete, key=lambda path: path.stat().st_mtime, default=None)


def check_load_from(cfg: Config) -> None:
    """The checkpoint to start from is there, if it is a local file.

    Raises:
        FileNotFoundError: it is not.
    """
    source = cfg.get('load_from')
    if source and '://' not in source and not Path(source).expanduser().is_file():
        raise FileNotFoundError(f'There is no checkpoint file "{source}", which load_from names.')


def check_same_method(cfg: Config, checkpoint: str | Path) -> None:
    """A delta to resume from was trained by the method of the config, where its ``model.backbone`` has one. Looked at
    before a runner is built, which writes its config into the work folder.

    Raises:
        FileNotFoundError: the checkpoint is not there.
        ValueError: it was trained by another method, is damaged, or not safe to load.
    """
    kind = ((cfg.model.get('backbone') or {}).get('tuning') or {}).get('type')
    here = getattr(TUNINGS.get(kind), '__name__', None) if kind else None
    for key, entry in load_file(checkpoint).get('state_dict', {}).items():
        there = decode_info(entry).get('method') if key.endswith(f'.{DELTA_KEY}') else None
        if there and here and there != here:
            raise ValueError(
                f'{checkpoint} was trained by {there}, but the config tunes by {here}. Resume it with its own method, '
                'or take another --work-dir for a new training.'
            )


def check_resume(runner: Runner, checkpoint: dict) -> None:
    """A checkpoint that a runner is about to resume from has all that resuming needs. What it lacks is allowed by
    ``allow_partial_resume=True`` in the config: then the run goes on from its weights, with what is left of the rest.

    Raises:
        ValueError: a part is missing or belongs to another optimizer.
    """
    if not runner._resume:
        return
    meta = checkpoint.get('meta') or {}
    if 'epoch' not in meta or 'iter' not in meta or 'message_hub' not in checkpoint or 'state_dict' not in checkpoint:
        raise ValueError(
            'The checkpoint cannot be resumed from: it does not say how far its training was. To start a new training '
            'from its weights, pass --cfg-options load_from=FILE.'
        )
    if runner.cfg.get('allow_partial_resume'):
        return
    for _, tuned in tuned_backbones(bare(runner)):
        tuned.expects_whole = True
    parts = dict(optimizer='the state of the optimizer', param_schedulers='that of the learning rate schedule')
    if not runner.param_schedulers:
        parts.pop('param_schedulers')
    lost = [words for name, words in parts.items() if not checkpoint.get(name)]
    if lost:
        raise ValueError(
            f'The checkpoint lacks {" and ".join(lost)} (save_optimizer, save_param_scheduler of the CheckpointHook), '
            'so the training would go on otherwise than it was. Pass --allow-partial-resume to go on all the same.'
        )
    groups = checkpoint['optimizer'].get('param_groups') if isinstance(checkpoint['optimizer'], dict) else None
    here = [len(group['params']) for group in runner.optim_wrapper.optimizer.param_groups]
    there = groups and [len(group['params']) for group in groups]
    if there != here:
        raise ValueError(
            f'The optimizer in the checkpoint holds groups of {there} parameters, that of the config {here}: they '
            'belong to different trainings. Resume with the config that it was trained with, or start a new '
            'training from its weights: --cfg-options load_from=FILE.'
        )
    there, here = (_hyperparameters(groups) for groups in (groups, runner.optim_wrapper.optimizer.param_groups))
    if there != here:
        raise ValueError(
            f'The optimizer in the checkpoint is another one: it has {", ".join(sorted(there - here)) or "less"}, and '
            f'{type(runner.optim_wrapper.optimizer).__name__} of the config has {", ".join(sorted(here - there))}. '
            'Resume with the config that it was trained with, or start a new training from its weights: --cfg-options '
            'load_from=FILE.'
        )


def _hyperparameters(groups: list[dict]) -> set[str]:
    """Names of the numbers that tell kinds of optimizers apart; switches come and go with versions of torch."""
    numbers = (int, float, tuple, list)
    shared = ('params', 'param_names', 'lr', 'initial_lr', 'lr_scale')
    return {
        name
        for group in groups
        for name, value in group.items()
        if name not in shared and isinstance(value, numbers) and not isinstance(value, bool)
    }
