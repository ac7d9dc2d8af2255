"""The config that a checkpoint was trained with."""

from pathlib import Path

from mmengine.config import Config

from mmest.engine.launch import import_framework, read_config


def config_of(checkpoint: dict, config: Path | None, path: Path) -> Config:
    """The config of a checkpoint, with the framework that it needs imported.

    Args:
        checkpoint: what was loaded.
        config: a config file to take instead of the copy inside the checkpoint.
        path: where the checkpoint came from, for the message.

    Raises:
        FileNotFoundError: the config file is missing.
        ValueError: no config is known, or it cannot be read.
    """
    if config is not None:
        return read_config(str(config))
    if 'cfg' not in checkpoint.get('meta', {}):
        raise ValueError(f'{path} has no config inside; name the one that it was trained with by --config.')
    cfg = Config.fromstring(checkpoint['meta']['cfg'], file_format='.py')
    import_framework(cfg)
    return cfg
