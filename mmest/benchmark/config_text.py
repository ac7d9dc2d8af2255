"""A config as one text that repeats a measurement on any machine."""
import copy
import json
from functools import lru_cache
from typing import Any, Dict, Sequence, Tuple

from mmengine.config import Config

from mmest.engine.launch import read_config, set_options
from mmest.engine.memory.compare import FULL
from mmest.utils import set_tuning


def config_text(path: str, options: Dict[str, Any], tuning: str, parts: Sequence[str] = ()) -> Tuple[str, dict]:
    """The text of a config under a tuning method, and the config of the method.

    The text can be saved to a file and used as a config. Folders that came from environment variables are variables in it.

    Args:
        path: the config file.
        options: values by dotted key that are set in it.
        tuning: name of the method.
        parts: top-level keys to keep; all by default.

    Raises:
        FileNotFoundError, ValueError: see :func:`mmest.engine.launch.read_config`.
    """
    # Reading a config takes a while, formatting it a second: once for all methods.
    cfg = copy.deepcopy(_read(path))
    set_tuning(cfg, tuning)
    set_options(cfg, options)
    method = cfg.model.backbone.tuning.to_dict()
    return f"{_text(path, json.dumps(options), tuple(parts))}model['backbone']['tuning'] = {method!r}\n", method


@lru_cache(maxsize=None)
def _read(path: str) -> Config:
    return read_config(path, tuning=FULL)


@lru_cache(maxsize=None)
def _text(path: str, options: str, parts: Tuple[str, ...]) -> str:
    cfg = copy.deepcopy(_read(path))
    set_options(cfg, json.loads(options))
    del cfg.model.backbone['tuning']
    text = (Config({name: cfg[name] for name in parts if name in cfg}) if parts else cfg).pretty_text
    for name, value in _read(path).env_variables.items():
        text = text.replace(f"'{value}/", f"'{{{{${name}:}}}}/")
    return text
