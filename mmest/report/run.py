"""What a training left in its work folder."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config

from mmest.benchmark.training import logged
from mmest.checkpoints.delta import DELTA_KEY, decode_info
from mmest.checkpoints.safe import load_file
from mmest.configs import open_config
from mmest.engine.resume import latest_complete_checkpoint
from mmest.engine.work_folder import best_checkpoints
from mmest.frameworks import framework_of, import_framework

# What a line of scalars.json has beside losses and metrics.
_NOT_SHOWN = ('base_lr', 'data_time', 'time', 'step', 'epoch', 'iter', 'memory')
Curve = list[tuple[int, float]]


@dataclass
class Run:
    """A training, from its files.

    Attributes:
        name: of the work folder.
        folder: the work folder.
        config: its config file.
        checkpoint: the best checkpoint if one was kept, else the newest.
        losses: by name, (step, value) over the training; the learning rate among them as ``lr``.
        scores: by metric, (step, value) of each evaluation.
        seconds: of each logged step.
        memory: largest memory that the log states, in MiB; None on a CPU.
        proof: what the checkpoint says of the frozen backbone; empty for methods that freeze nothing.
    """

    name: str
    folder: Path
    config: Path
    checkpoint: Path
    losses: dict[str, Curve] = field(default_factory=dict)
    scores: dict[str, Curve] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    memory: float | None = None
    proof: dict = field(default_factory=dict)

    def read_config(self) -> Config:
        """The config that ran, with its framework imported."""
        cfg = open_config(str(self.config))
        import_framework(cfg)
        return cfg

    def score_of_checkpoint(self, metric: str) -> float | None:
        """What the evaluation of the checkpoint found, or the last one before it; None if there was none."""
        curve = self.scores.get(metric, [])
        named = re.search(r'(?:epoch|iter)_(\d+)$', self.checkpoint.stem)
        until = [value for step, value in curve if named is None or step <= int(named[1])]
        return until[-1] if until else None

    @property
    def method(self) -> str:
        """Name of the tuning method's type, or ``none`` where the backbone is not wrapped."""
        tuning = (open_config(str(self.config)).model.get('backbone') or {}).get('tuning') or {}
        return tuning.get('type', 'none')

    @property
    def task(self) -> str:
        """``detection`` or ``segmentation``."""
        return framework_of(open_config(str(self.config))).task


def read_run(folder: Path) -> Run:
    """Read a work folder of ``mmest train``.

    Raises:
        FileNotFoundError: there is no such folder, or it holds no config or no whole checkpoint.
        ValueError: the checkpoint is damaged.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f'There is no work folder {folder}. Name one that training wrote, such as work_dirs/NAME.'
        )
    configs = sorted(folder.glob('*.py'))
    if not configs:
        raise FileNotFoundError(f'{folder} holds no config: it is not the work folder of a training.')
    best = max(best_checkpoints(folder), key=lambda path: path.stat().st_mtime, default=None)
    checkpoint = best or latest_complete_checkpoint(folder)
    if checkpoint is None:
        raise FileNotFoundError(f'{folder} holds no whole checkpoint; train first, or go on with --resume.')
    content = load_file(checkpoint)
    run = Run(folder.resolve().name, folder, _config(configs, content.get('meta') or {}), checkpoint)
    for values in logged(folder):
        step = int(values.get('step', 0))
        if 'loss' in values:
            for name, value in values.items():
                if name == 'lr' or 'loss' in name or name.endswith('acc'):
                    run.losses.setdefault(name, []).append((step, value))
            run.seconds.append(values.get('time', 0.0))
            run.memory = max(run.memory or 0, values['memory']) if 'memory' in values else run.memory
        else:
            for name, value in values.items():
                # COCO's metrics are -1 where there is no object of that size.
                if name not in (*_NOT_SHOWN, 'lr') and isinstance(value, (int, float)) and value >= 0:
                    run.scores.setdefault(name, []).append((step, value))
    run.losses = {name: _by_step(curve) for name, curve in run.losses.items()}
    run.scores = {name: _by_step(curve) for name, curve in run.scores.items()}
    run.proof = _proof(content.get('state_dict', {}))
    return run


def _by_step(curve: Curve) -> Curve:
    """Where a resumed training repeats steps, the later ones count."""
    return sorted(dict(curve).items())


def _config(configs: list[Path], meta: dict) -> Path:
    """Of the configs in a work folder, where an earlier run may have left others, the one that a checkpoint names: its
    experiment is called after it, and after the time unless that is all its name.
    """
    experiment = meta.get('experiment_name') or ''
    names = experiment, re.sub(r'_\d{8}_\d{6}$', '', experiment)
    return next((path for path in configs if path.stem in names), configs[0])


def _proof(state: dict) -> dict:
    """Number and fingerprint of the frozen tensors that a checkpoint leaves out, by tuned backbone."""
    found = {key.rpartition('.')[0]: decode_info(value) for key, value in state.items() if key.endswith(DELTA_KEY)}
    return {path: info for path, info in found.items() if info['tensors']}


def readable(name: str) -> str:
    """A metric's name without its prefix: ``coco/bbox_mAP_50`` is ``bbox_mAP_50``."""
    return re.sub(r'^[\w-]+/', '', name)
