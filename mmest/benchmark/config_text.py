"""A config as one text that repeats a measurement on any machine."""

import ast
import copy
import json
import os
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from mmengine.config import Config

from mmest.configs import config_from_text, read_config, set_options, set_tuning
from mmest.measure.memory.compare import FULL

_TUNING = 'model.backbone.tuning.'  # options of the method, which the text ends with
_VARIABLE = re.compile(r'{{\s*\$(\w+)\s*:\s*(\S*?)\s*}}')


def config_text(path: str, options: dict[str, Any], tuning: str, parts: Sequence[str] = ()) -> tuple[str, dict]:
    """The text of a config under a tuning method, and the config of the method.

    The text can be saved to a file and used as a config. Folders that came from environment variables are variables in
    it.

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
    others = {key: value for key, value in options.items() if not key.startswith(_TUNING)}
    return f"{_text(path, json.dumps(others), tuple(parts))}model['backbone']['tuning'] = {method!r}\n", method


@cache
def _read(path: str) -> Config:
    return read_config(path, tuning=FULL)


@cache
def _text(path: str, options: str, parts: tuple[str, ...]) -> str:
    cfg = copy.deepcopy(_read(path))
    set_options(cfg, json.loads(options))
    del cfg.model.backbone['tuning']
    text = (Config(_parts(cfg, parts)) if parts else cfg).pretty_text
    for name, default in _VARIABLE.findall(_read(path).text):  # set or not
        text = text.replace(f"'{os.environ.get(name, default)}/", f"'{{{{${name}:{default}}}}}/")
    return text


def _parts(cfg: Config, names: tuple[str, ...]) -> dict:
    parts = {name: cfg[name] for name in names if name in cfg}
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    own = [name for name in ([imports] if isinstance(imports, str) else imports) if name.partition('.')[0] != 'mmest']
    return dict(parts, custom_imports=dict(imports=own, allow_failed_imports=False)) if own else parts


@cache
def meaning(text: str) -> str:
    """The same of two texts that differ in how they are laid out alone."""
    return ast.dump(ast.parse(text))


def config_of_cell(request: dict) -> Config:
    """The config of a cell, from its text: what a record says is what ran, whatever has become of the file since."""
    return config_from_text(request['config_text'])
