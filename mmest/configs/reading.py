"""How a config is read and changed, and a sentence for what cannot be built."""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmest.frameworks import framework_of, import_framework
from mmest.unused_options import refuse_unused

from .backbones import backbone_in, set_backbone
from .names import available_tunings, configs_root, find_config, head_and_backbone, run_stem
from .pure_python import with_names
from .tunings import is_wrapped, load_tuning, set_tuning, use_rates_of_wrapped


def open_config(path: str, tuning: str | None = None, backbone: str | None = None) -> Config:
    """Read a config; its ``filename`` becomes the name of the run, see :func:`mmest.configs.run_stem`.

    Top-level keys ``backbone`` and ``tuning`` are put into the model: names of files in ``configs/_base_/backbones``
    and ``configs/_base_/tunings``, or what is in these files; ``backbone`` by name alone where a base has wrapped one.

    Args:
        path: a file or another name of a config, see :func:`mmest.configs.find_config`.
        tuning: a file of ``configs/_base_/tunings``, instead of the method of the config.
        backbone: a file of ``configs/_base_/backbones``, instead of the backbone of the config.

    Raises:
        FileNotFoundError: there is no such config; near names are suggested.
        ValueError: it cannot be read; there is no such method or backbone, or it does not suit the model.
    """
    return _named(_opened(path, tuning, backbone), path, tuning, backbone)


def _opened(path: str, tuning: str | None, backbone: str | None) -> Config:
    found = find_config(path)
    try:
        cfg = with_names(Config.fromfile(found.path))
    except Exception as error:  # a config is code of its author's: anything may go wrong in it
        raise ValueError(f'The config {path} cannot be read: {type(error).__name__}: {_reason(error)}') from error
    inner = (cfg.get('model') or {}).get('backbone')
    if isinstance(inner, dict) and not is_wrapped(inner):
        if isinstance(cfg.get('backbone'), str):
            set_backbone(cfg, cfg.backbone)
        elif 'backbone' in cfg and 'channels' in cfg:
            set_backbone(cfg, backbone_in(cfg, framework_of(cfg).scope))
        if 'tuning' in cfg:
            set_tuning(cfg, cfg.tuning)
    elif isinstance(inner, dict):
        _swap_what_it_names(cfg, found.path)
    if backbone or found.backbone:
        set_backbone(cfg, backbone or found.backbone)
    if tuning or found.tuning:
        set_tuning(cfg, tuning or found.tuning)
    use_rates_of_wrapped(cfg)
    return cfg


def _swap_what_it_names(cfg: Config, path: Path) -> None:
    """Backbone and method that a config names at its top, where a base of it has put its own into the model already."""
    text = path.read_text(encoding='utf-8')
    if not re.search(r'^_base_ *=', text, re.MULTILINE):
        return  # what a run wrote: names at its top have done their work
    if isinstance(cfg.get('backbone'), str):
        set_backbone(cfg, cfg.pop('backbone'))
    tuning = cfg.get('tuning')
    if isinstance(tuning, str) or tuning and re.search(r'^tuning *=', text, re.MULTILINE):
        set_tuning(cfg, tuning)


def _named(cfg: Config, path: str, tuning: str | None, backbone: str | None) -> Config:
    """The config under the name of its run: mmengine names the copy in the work folder after it."""
    file = Path(cfg.filename)
    named = file.with_name(f'{_with_method_of(cfg, run_stem(path, backbone, tuning))}.py')
    if named == file:
        return cfg
    return Config(cfg.to_dict(), cfg_text=cfg.text, filename=str(named), env_variables=cfg.env_variables)


def _with_method_of(cfg: Config, stem: str) -> str:
    """A name that ends with a method ends with the one that the model has: a key inside the model, or an option, may
    have set another than the names of the config say.
    """
    backbone = (cfg.get('model') or {}).get('backbone')
    method = (backbone.get('tuning') or {}).get('type') if isinstance(backbone, dict) else None
    head = head_and_backbone(stem)
    if not method or head == stem or load_tuning(stem.removeprefix(f'{head}_')).type == method:
        return stem
    return f'{head}_{next((name for name in available_tunings() if load_tuning(name).type == method), method)}'


def _reason(error: BaseException) -> str:
    """What went wrong. mmengine only says which of custom_imports failed; why is in the error before it."""
    wanted = ''
    while str(error).startswith('Failed to import') and error.__context__:
        wanted, error = str(error).rpartition(' ')[2], error.__context__
    if isinstance(error, ModuleNotFoundError) and f'{wanted}.'.startswith(f'{error.name}.'):
        return f'{error}. Modules of custom_imports are installed, or lie in a folder that PYTHONPATH names.'
    return str(error)


def read_config(
    path: str, options: dict | None = None, tuning: str | None = None, backbone: str | None = None
) -> Config:
    """Read a config as :func:`open_config` does, and set single options last.

    Args:
        path: a file or another name of a config.
        options: values by dotted key, as ``--cfg-options`` gives them.
        tuning: a file of ``configs/_base_/tunings``.
        backbone: a file of ``configs/_base_/backbones``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read; it holds no model; the method is unknown or missing; an option does not fit; the
            framework it needs is not installed.
    """
    cfg = _opened(path, tuning, backbone)
    if options:
        set_options(cfg, options)
    if not isinstance(cfg.get('model'), dict):
        raise ValueError(
            f'The config {path} holds no model: it is a part that others build on (_base_). Those to train '
            f'are in {configs_root()}.'
        )
    outer = cfg.model.get('backbone') or {}
    if outer.get('type') == 'TunedBackbone' and not outer.get('tuning'):
        raise ValueError(
            f'The config {path} names no tuning method. Pass --tuning NAME, one of '
            f'{", ".join(available_tunings())}, or set model.backbone.tuning in it.'
        )
    import_framework(cfg)
    return _named(cfg, path, tuning, backbone)


def set_options(cfg: Config, options: dict) -> None:
    """Set values by dotted key, in place; a list in the place of a tuple becomes one.

    Raises:
        ValueError: one does not fit the config, or would change nothing.
    """
    refuse_unused(cfg, options)
    options = {key: _as_there(cfg, key, value) for key, value in options.items()}
    try:
        cfg.merge_from_dict(options)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f'The options {options} do not fit {cfg.filename}: {error}') from error


def _as_there(cfg: Config, key: str, value: Any) -> Any:
    """Shells take ``scale=[96,96]`` without quotes, parentheses not, and many transforms take tuples alone."""
    there: Any = cfg
    for part in key.split('.') if isinstance(value, list) else ():
        try:
            there = there[int(part) if isinstance(there, (list, tuple)) else part]
        except (KeyError, IndexError, ValueError, TypeError):
            return value  # new, or an error that setting it tells
    return tuple(value) if isinstance(there, tuple) else value


def check_parts(cfg: Config, names: Sequence[str]) -> None:
    """A config has the parts that a command needs.

    Raises:
        ValueError: some are missing.
    """
    missing = [name for name in names if not cfg.get(name)]
    if missing:
        raise ValueError(
            f'The config {cfg.filename} has no {", ".join(missing)}. Add a data set and a schedule, such as '
            'those of configs/_base_/datasets and configs/_base_/schedules, to its _base_.'
        )


def config_of(checkpoint: Any, config: Path | None, path: Path) -> Config:
    """The config of a checkpoint, with the framework that it needs imported. One inside it is code, and that it runs is
    said.

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
    if not isinstance(checkpoint, Mapping) or 'cfg' not in checkpoint.get('meta', {}):
        raise ValueError(f'{path} has no config inside; name the one that it was trained with by --config.')
    said = f'Runs the config inside {path}, which is Python code; --config takes another.'
    print_log(said, logger='current', level=logging.WARNING)
    return config_from_text(checkpoint['meta']['cfg'])


def config_from_text(text: str) -> Config:
    """A config from its text, which is run, with the framework that it needs imported.

    Raises:
        ValueError: it cannot be run; the framework is not installed.
    """
    try:
        cfg = with_names(Config.fromstring(text, file_format='.py'))
    except Exception as error:  # a config is code of its author's: anything may go wrong in it
        raise ValueError(
            f'The config inside the checkpoint cannot be read: {type(error).__name__}: {_reason(error)}. Name one by '
            '--config.'
        ) from error
    if not isinstance(cfg.get('model'), dict):
        raise ValueError(
            'The config inside the checkpoint holds no model. Name the one that it was trained with by --config.'
        )
    import_framework(cfg)
    return cfg


def variable_behind(cfg: Config, path: str) -> str | None:
    """The environment variable that the beginning of a path comes from, set or not: ``{{$NAME:default}}`` in the
    config.
    """
    for name, default in re.findall(r'\{\{\s*\$(\w+)\s*:\s*([^}\s]*)\s*\}\}', cfg.text):
        if path.startswith(os.environ.get(name) or default):
            return name
    return None


@contextmanager
def explain_build_errors(cfg: Config) -> Iterator[None]:
    """Make a ValueError of what the registries raise where a config names an unknown type or argument.

    Other errors of these kinds come from inside a class that is being built: they pass, with their traceback.
    """
    try:
        yield
    except (KeyError, TypeError) as error:
        said = str(error.args[0]) if error.args else ''
        if not any(sign in said for sign in (' registry. ', 'must contain the key "type"', '__init__() ')):
            raise
        raise ValueError(f'The config {cfg.filename or "of the checkpoint"} cannot be built: {said}') from error
