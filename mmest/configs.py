"""Configs: where the shipped ones are, how one is read and changed, and a sentence for what cannot be built."""

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from mmest.frameworks import import_framework
from mmest.unused_options import refuse_unused


def configs_root() -> Path:
    """The folder of mmest's configs: of the repository, or of the installed package.

    Raises:
        FileNotFoundError: neither is there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package.parent / 'configs', package / '.mim' / 'configs'):
        if (folder / '_base_' / 'tunings').is_dir():
            return folder
    raise FileNotFoundError(f"mmest's configs are neither beside the package {package} nor in it; install it again.")


def available_tunings() -> list[str]:
    """Names that ``--tuning`` takes: the files of ``configs/_base_/tunings``."""
    return sorted(path.stem for path in (configs_root() / '_base_' / 'tunings').glob('*.py'))


def head_and_backbone(stem: str) -> str:
    """The name of a config without the tuning method at its end, if there is one."""
    head, _, last = stem.rpartition('_')
    return head if head and last in available_tunings() else stem


def load_tuning(name: str) -> ConfigDict:
    """The config of a tuning method by the name of its file in ``configs/_base_/tunings``.

    Raises:
        ValueError: there is none of that name.
    """
    path = configs_root() / '_base_' / 'tunings' / f'{name}.py'
    if not path.is_file():
        raise ValueError(f'There is no tuning method "{name}"; choose one of {", ".join(available_tunings())}.')
    return Config.fromfile(path).tuning


def set_tuning(cfg: Config, tuning: str | dict) -> None:
    """Swap the tuning method of a config, in place; an ESTBackbone becomes a TunedBackbone.

    Args:
        cfg: a config of mmdet or mmseg.
        tuning: the method: the name of a file in ``configs/_base_/tunings``, or its config.

    Raises:
        ValueError: there is no such method, or the config's backbone is not wrapped.
    """
    backbone = tuned_backbone_of(cfg)
    method = load_tuning(tuning) if isinstance(tuning, str) else tuning
    more = dict(allow_random=True) if backbone.get('allow_random') else {}
    cfg.model.backbone = ConfigDict(type='TunedBackbone', backbone=backbone['backbone'], tuning=method, **more)


def tuned_backbone_of(cfg: Config) -> dict:
    """The config of the backbone, where that is a wrapper whose method can be chosen.

    Raises:
        ValueError: it is not.
    """
    backbone = (cfg.get('model') or {}).get('backbone') or {}
    if backbone.get('type') not in ('TunedBackbone', 'ESTBackbone'):
        raise ValueError(
            'The tuning method can be chosen where model.backbone is a TunedBackbone; in '
            f'{cfg.filename or "the config"} it '
            f"is {backbone.get('type', 'missing')}. Wrap it: model = dict(backbone=dict(type='TunedBackbone', "
            "backbone=dict(...), tuning=dict(type='EST')))."
        )
    return backbone


def open_config(path: str) -> Config:
    """Read a config file.

    Raises:
        FileNotFoundError: there is no such file; near names are suggested.
        ValueError: it cannot be read.
    """
    if not Path(path).is_file():
        root = configs_root()
        known = {
            file.relative_to(root.parent).as_posix(): file
            for folder in ('detection', 'segmentation', 'demo')
            for file in (root / folder).rglob('*.py')
        }
        stems = {Path(name).stem: name for name in known}
        near = [stems[stem] for stem in difflib.get_close_matches(Path(path).stem, stems, n=3)]
        hint = f'Did you mean {" or ".join(near)}?' if near else f'Those of mmest are in {root}.'
        raise FileNotFoundError(f'There is no config "{path}". {hint}')
    try:
        return Config.fromfile(path)
    except Exception as error:  # a config is code of its author's: anything may go wrong in it
        raise ValueError(f'The config {path} cannot be read: {type(error).__name__}: {_reason(error)}') from error


def _reason(error: BaseException) -> str:
    """What went wrong. mmengine only says which of custom_imports failed; why is in the error before it."""
    while str(error).startswith('Failed to import') and error.__context__:
        error = error.__context__
    return str(error)


def read_config(path: str, options: dict | None = None, tuning: str | None = None) -> Config:
    """Read a config, swap its tuning method if one is named, and set single options last.

    Args:
        path: the config file.
        options: values by dotted key, as ``--cfg-options`` gives them.
        tuning: a file of ``configs/_base_/tunings``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read; it holds no model; the method is unknown or missing; an option does not fit; the
            framework it needs is not installed.
    """
    cfg = open_config(path)
    if tuning is not None:
        set_tuning(cfg, tuning)
    if options:
        set_options(cfg, options)
    if not isinstance(cfg.get('model'), dict):
        raise ValueError(
            f'The config {path} holds no model: it is a part that others build on (_base_). Those to train '
            f'are in {configs_root()}.'
        )
    backbone = cfg.model.get('backbone') or {}
    if backbone.get('type') == 'TunedBackbone' and not backbone.get('tuning'):
        raise ValueError(
            f'The config {path} names no tuning method. Pass --tuning NAME, one of '
            f'{", ".join(available_tunings())}, or set model.backbone.tuning in it.'
        )
    import_framework(cfg)
    return cfg


def set_options(cfg: Config, options: dict) -> None:
    """Set values by dotted key, in place.

    Raises:
        ValueError: one does not fit the config, or would change nothing.
    """
    refuse_unused(cfg, options)
    try:
        cfg.merge_from_dict(options)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f'The options {options} do not fit {cfg.filename}: {error}') from error


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
    print_log(f'Runs the config inside {path}, which is Python code; --config takes another.', logger='current')
    return config_from_text(checkpoint['meta']['cfg'])


def config_from_text(text: str) -> Config:
    """A config from its text, which is run, with the framework that it needs imported.

    Raises:
        ValueError: it cannot be run; the framework is not installed.
    """
    try:
        cfg = Config.fromstring(text, file_format='.py')
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
