"""The evaluation of models by their config's data and metrics, in larger batches than a config has."""

import json

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

BATCH_SIZE = 25


class Evaluations:
    """Evaluates models, and reads the validation images of each config once."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[DataLoader, list[dict]]] = {}

    def __call__(self, cfg: Config, model: nn.Module) -> dict[str, float]:
        """Metrics on the validation data, by name."""
        key = json.dumps(cfg.val_dataloader.to_dict(), default=str)
        if key not in self._read:
            self._read[key] = _read(cfg)
        loader, batches = self._read[key]
        evaluator = Evaluator(cfg.val_evaluator)
        evaluator.dataset_meta = loader.dataset.metainfo
        model.eval()
        with torch.no_grad():
            for batch in batches:
                evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
        return {name: float(value) for name, value in evaluator.evaluate(len(loader.dataset)).items()}


def _read(cfg: Config) -> tuple[DataLoader, list[dict]]:
    """In batches of images of one size, or else in those of the config."""
    for loader_cfg in (dict(cfg.val_dataloader, batch_size=BATCH_SIZE), dict(cfg.val_dataloader)):
        loader = Runner.build_dataloader(loader_cfg)
        batches = list(loader)
        if all(len({image.shape for image in batch['inputs']}) == 1 for batch in batches):
            break
    return loader, batches
