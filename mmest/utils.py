"""Where the shipped configs are, and the switch between tuning methods."""
from pathlib import Path
from typing import List, Optional

from mmengine.config import Config, ConfigDict


def configs_root() -> Path:
    """The folder of mmest's configs: of the repository, or of the installed package.

    Raises:
        FileNotFoundError: neither is there.
    """
    package = Path(__file__).resolve().parent
    for folder in (package.parent / 'configs', package / '.mim' / 'configs'):
        if (folder / '_base_' / 'tunings').is_dir():
            return folder
    raise FileNotFoundError(f'mmest\'s configs are neither beside the package {package} nor in it; install it again.')


def available_tunings() -> List[str]:
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


def set_tuning(cfg: Config, name: str) -> None:
    """Swap the tuning method of a config, in place.

    Raises:
        ValueError: there is no such method, or the config's backbone is not a TunedBackbone.
    """
    backbone: Optional[dict] = cfg.get('model', {}).get('backbone')
    if not backbone or backbone.get('type') != 'TunedBackbone':
        raise ValueError(
            f'The tuning method can be swapped where model.backbone is a TunedBackbone; in {cfg.filename} it is '
            f'{backbone.get("type") if backbone else "missing"}. Wrap it: backbone=dict(type=\'TunedBackbone\', '
            'backbone=dict(...), tuning=dict(type=\'Full\')).')
    backbone['tuning'] = load_tuning(name)
