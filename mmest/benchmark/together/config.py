"""The config of a cell, ready for what is built from it without a runner."""

from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmest.benchmark.decoded import share_decoded
from mmest.benchmark.training import training_config
from mmest.engine.launch import use_reader
from mmest.frameworks import framework_of


def config_of(request: dict, folder: Path, records: Path) -> tuple[Config, dict]:
    """As :func:`mmest.benchmark.training.training_config`, with images read as a runner of mmest has them read."""
    cfg, chosen = training_config(request, folder, records)
    init_default_scope(cfg.default_scope)
    loaders = [cfg.train_dataloader, cfg.val_dataloader]
    for loader in loaders:
        use_reader(loader, not framework_of(cfg).detects, cfg.get('image_scale'))
    share_decoded(loaders, folder.parent / 'decoded')
    return cfg, chosen
