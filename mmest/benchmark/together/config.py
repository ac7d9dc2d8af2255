"""The config of a cell, ready for what is built from it without a runner."""

import json
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmest.benchmark.decoded import share_decoded
from mmest.benchmark.training import training_config
from mmest.engine.reader import use_reader_of

_shared: dict[str, dict] = {}


def config_of(request: dict, folder: Path, records: Path) -> tuple[Config, dict]:
    """As :func:`mmest.benchmark.training.training_config`, with images read as a runner of mmest has them read."""
    cfg, chosen = training_config(request, folder, records)
    init_default_scope(cfg.default_scope)
    for name in ('train_dataloader', 'val_dataloader'):
        use_reader_of(cfg, cfg[name])
        # To look for all images of a data set takes a while, and many trainings have the same.
        key = json.dumps([str(folder.parent), cfg[name].to_dict()], default=str)
        if key not in _shared:
            share_decoded([cfg[name]], folder.parent / 'decoded')
            _shared[key] = cfg[name]
        cfg[name] = _shared[key]
    return cfg, chosen
