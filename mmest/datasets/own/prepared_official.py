"""Official data sets as ``mmest data prepare`` wrote them, whose protocols are in configs of their own."""

import importlib
import json
from pathlib import Path

from mmest.configs.names import shipped_configs
from mmest.datasets.preparation.registry import module_of, official_names
from mmest.datasets.preparation.summary import SUMMARY


def official_set(folder: Path) -> tuple[str, list[str]] | None:
    """The title of the official data set that was prepared in a folder, and the names of its configs; else None."""
    try:
        title = json.loads((folder / SUMMARY).read_bytes())['dataset']
    except (OSError, ValueError, KeyError, TypeError):  # none, or a file of the user's
        return None
    for name in official_names():
        if title == importlib.import_module(module_of(name)).TITLE:
            return title, [config for config in shipped_configs() if _is_of(name, config.split('/')[1])]
    return None


def _is_of(name: str, data: str) -> bool:
    """Whether configs of ``data`` are of a data set: ``potsdam_six-classes`` is of ``potsdam``, ``dior_r`` not of
    ``dior``.
    """
    return data == name or (data.startswith(f'{name}_') and data not in official_names())
