"""Where the shipped configs are, the switch between tuning methods, and a sentence for what cannot be built."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config, ConfigDict
from torch import nn


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
    cfg.model.backbone = ConfigDict(type='TunedBackbone', backbone=backbone['backbone'], tuning=method)


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


def predicts_oriented(model: nn.Module) -> bool:
    """Whether a head of a detector predicts rotated boxes, as those of mmrotate do."""
    return any(getattr(module, 'predict_box_type', None) == 'rbox' for module in model.modules())
