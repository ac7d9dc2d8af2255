"""A config as one text that repeats a measurement on any machine."""
import json
from typing import Any, Dict, Sequence, Tuple

from mmengine.config import Config, ConfigDict

from mmest.engine.launch import read_config

_texts: Dict[Tuple[str, str, Tuple[str, ...]], str] = {}


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
    cfg = read_config(path, options, tuning)
    method = _plain(cfg.model.backbone.pop('tuning'))
    # Formatting takes a second, and the text without the method is that of all methods.
    key = path, json.dumps(options, sort_keys=True, default=repr), tuple(parts)
    if key not in _texts:
        variables = cfg.env_variables
        if parts:
            cfg = Config({name: cfg[name] for name in parts if name in cfg})
        text = cfg.pretty_text
        for name, value in variables.items():
            text = text.replace(f"'{value}/", f"'{{{{${name}:}}}}/")
        _texts[key] = text
    return f"{_texts[key]}model['backbone']['tuning'] = {method!r}\n", method


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, ConfigDict) else value
