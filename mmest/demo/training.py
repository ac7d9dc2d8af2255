"""One training of the demo: an ordinary mmengine run, quiet, watched by a progress bar."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmest.configs import configs_root


class ProgressHook(Hook):
    """Tells how far a training is, its evaluation included, and keeps the metrics of the latter."""

    def __init__(self, progress: Callable[[float], None]) -> None:
        self._progress = progress
        self._done = 0
        self.metrics: dict[str, float] = {}

    def _advance(self, runner: Runner) -> None:
        self._done += 1
        self._progress(min(1.0, self._done / (runner.max_iters + len(runner.val_dataloader))))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self._advance(runner)

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self._advance(runner)

    def after_val_epoch(self, runner, metrics=None) -> None:
        self.metrics = dict(metrics)


def load_config(name: str, work_dir: Path) -> Config:
    """The config ``configs/demo/<name>.py``, its outputs in ``work_dir``."""
    cfg = Config.fromfile(configs_root() / 'demo' / f'{name}.py')
    cfg.work_dir = str(work_dir)
    return cfg


def train(cfg: Config, progress: Callable[[float], None]) -> tuple[Runner, dict[str, float]]:
    """Train and evaluate as a config says.

    Args:
        cfg: config of the run.
        progress: called with the share that is done, in [0, 1].

    Returns:
        The runner, with the trained model, and the metrics of the evaluation.
    """
    hook = ProgressHook(progress)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(hook)
    runner.train()
    return runner, {key: float(value) for key, value in hook.metrics.items()}


def predict(runner: Runner) -> np.ndarray:
    """The classes of all pixels of the validation images, N×H×W."""
    dataset = runner.val_dataloader.dataset
    found = [runner.model.test_step(pseudo_collate([dataset[i]]))[0] for i in range(len(dataset))]
    return np.stack([sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8) for sample in found])
