"""Names of configs: of the shipped ones, of what they are combined from, and of a run of one."""

import difflib
import importlib.util
import re
from collections.abc import Iterator
from functools import cache
from itertools import product
from os.path import commonprefix
from pathlib import Path
from typing import NamedTuple

from mmengine.config import Config

TASKS = ('detection', 'segmentation')


class Found(NamedTuple):
    """A config that a name stands for.

    Attributes:
        path: its file.
        backbone: the backbone that the name asks for, None for that of the file.
        tuning: the method that the name asks for, None for that of the file.
    """

    path: Path
    backbone: str | None = None
    tuning: str | None = None


def configs_root() -> Path:
    """The folder of mmest's configs: of the repository, or of the installed package.

    Raises:
        FileNotFoundError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parent / 'configs', package / '.mim' / 'configs'):
        if (folder / '_base_' / 'tunings').is_dir():
            return folder
    raise FileNotFoundError(f"mmest's configs are neither beside the package {package} nor in it; install it again.")


def _parts(kind: str) -> list[str]:
    return sorted(path.stem for path in (configs_root() / '_base_' / kind).glob('*.py'))


def available_tunings() -> list[str]:
    """Names that ``--tuning`` takes: the files of ``configs/_base_/tunings``."""
    return _parts('tunings')


def available_backbones() -> list[str]:
    """Names that ``--backbone`` takes: the files of ``configs/_base_/backbones``."""
    return _parts('backbones')


def shipped_configs() -> dict[str, Path]:
    """The configs that are trained, by their names: the paths below :func:`configs_root` without the ending."""
    root = configs_root()
    return {
        path.relative_to(root).with_suffix('').as_posix(): path
        for task in TASKS
        for path in sorted((root / task).rglob('*.py'))
    }


def _split(stem: str, names: list[str]) -> tuple[str, str | None]:
    """What is before the longest of some names at the end of a stem, and that name."""
    for name in sorted(names, key=len, reverse=True):
        if stem.endswith(f'_{name}') and stem != f'_{name}':
            return stem.removesuffix(f'_{name}'), name
    return stem, None


def head_and_backbone(stem: str) -> str:
    """The name of a config without the tuning method at its end, if there is one."""
    return _split(stem, available_tunings())[0]


def run_stem(path: str | Path, backbone: str | None = None, tuning: str | None = None) -> str:
    """The name of a run: the config's own, and the backbone and the method that run, ``faster-rcnn_swin-t_est``.

    Args:
        path: the config file, or another name of it. The backbone and the method that it names, in its ``_base_`` or
            by a key, need not be in its name.
        backbone: the one that is swapped in.
        tuning: the one that is swapped in.
    """
    found = find_config(str(path))
    rest, named_tuning = _split(found.path.stem, available_tunings())
    head, named_backbone = _split(rest, available_backbones())
    of_file = _parts_of(found.path)
    chosen = (
        backbone or found.backbone or named_backbone or of_file.get('backbone'),
        tuning or found.tuning or named_tuning or of_file.get('tuning'),
    )
    return '_'.join([head, *(name for name in chosen if name)])


@cache
def _parts_of(path: Path) -> dict[str, str]:
    """The backbone and the method that a config names, itself or through what it inherits from."""
    text = path.read_text(encoding='utf-8')
    parts = dict(re.findall(r'_base_/(backbone|tuning)s/([\w.-]+?)(?:\.py)?[\'"]', text))
    parts |= dict(re.findall(r'^(backbone|tuning) *= *[\'"]([\w.-]+)[\'"]', text, re.MULTILINE))
    if '_base_' in text and re.search(r'^tuning *= *dict', text, re.MULTILINE):
        parts['tuning'] = ''  # of no name, whatever that of a base is
    if '_base_' in text and len(parts) < 2:
        for base in Config._get_base_files(str(path)):
            inherited = find_config(base).path if base.startswith('mmest::') else path.parent / base
            if '_base_/' not in base and inherited.is_file():
                parts = {**_parts_of(inherited), **parts}
    return parts


def find_config(name: str) -> Found:
    """The config that a name stands for.

    A name is the path of a file, or that of a shipped config below ``configs/``, with or without ``configs/``,
    ``mmest::`` and the ending. Backbone and method may follow the name of a shipped config, as they do in the name of a
    run: ``detection/dior/faster-rcnn_swin-b_lora``. ``mmdet::`` and ``mmseg::`` name the configs of these packages.

    Raises:
        FileNotFoundError: there is none; near names are suggested.
    """
    if Path(name).is_file():
        return Found(Path(name))
    package, _, rest = name.rpartition('::')
    for path in _candidates(package, rest):
        if path.is_file():
            return Found(path)
        if not package or package == 'mmest':
            for leaf in sorted(path.parent.glob('*.py'), key=lambda leaf: len(leaf.stem), reverse=True):
                switches = _switches().get(path.stem.removeprefix(f'{leaf.stem}_'))
                if switches and path.stem.startswith(f'{leaf.stem}_'):
                    return Found(leaf, *switches)
    raise FileNotFoundError(f'There is no config "{name}". {_hint(rest)}')


def _candidates(package: str, rest: str) -> Iterator[Path]:
    rest = rest if rest.endswith('.py') else f'{rest}.py'
    if package and package != 'mmest':
        spec = importlib.util.find_spec(package)
        if spec and spec.origin:
            yield Path(spec.origin).parent / '.mim' / 'configs' / rest
        return
    if not package:
        yield Path(rest)
    yield configs_root() / rest.removeprefix('configs/')


@cache
def _switches() -> dict[str, tuple[str | None, str | None]]:
    """Backbone and method by what follows the name of a config: ``swin-b``, ``lora``, ``swin-b_lora``."""
    pairs = product([None, *available_backbones()], [None, *available_tunings()])
    return {'_'.join(filter(None, pair)): pair for pair in pairs if any(pair)}


def _hint(name: str) -> str:
    """Near names: of configs where a config is meant, of configs with their switches where these are named."""
    wanted = name.removeprefix('configs/').removesuffix('.py')
    near = difflib.get_close_matches(wanted, shipped_configs(), cutoff=0.9)
    if not near:
        names = [f'{leaf}_{more}' for leaf in shipped_configs() for more in _switches()]
        near = difflib.get_close_matches(wanted, names, cutoff=0.9)
    if not near:
        stems = difflib.get_close_matches(Path(wanted).stem, {Path(leaf).name for leaf in shipped_configs()})
        of_stem = [leaf for leaf in shipped_configs() if Path(leaf).name in stems]
        shared = {leaf: len(commonprefix([wanted, leaf])) for leaf in of_stem}
        near = [leaf for leaf in of_stem if shared[leaf] == max(shared.values())][:3]
    return f'Did you mean {" or ".join(near)}?' if near else f'mmest configs lists those of {configs_root()}.'
