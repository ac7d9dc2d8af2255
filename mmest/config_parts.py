"""The parts of a config: every dict in it, however deep."""

from collections.abc import Collection, Iterator
from typing import Any

from mmengine.config import Config


def parts_of(config: Any, key: str = '', without: Collection[str] = ()) -> Iterator[tuple[str, dict]]:
    """(dotted key, part) of every dict in a config, outer ones first. Who is handed a part may change it: its new
    values are those that are walked next.

    Args:
        config: a config or any value in one.
        key: the dotted key of ``config``.
        without: names below which nothing is walked.
    """
    if isinstance(config, (dict, Config)):
        yield key, config
        inner = [(name, value) for name, value in config.items() if name not in without]
    elif isinstance(config, (list, tuple)):
        inner = list(enumerate(config))
    else:
        return
    for name, value in inner:
        yield from parts_of(value, f'{key}.{name}' if key else str(name), without)


def kind_of(part: dict) -> str:
    """The name of a part's class, without its scope or module; empty where it has none."""
    kind = part.get('type') or ''
    return (kind if isinstance(kind, str) else getattr(kind, '__name__', '')).rpartition('.')[2]


def first_dataset(loader: dict | None) -> dict | None:
    """The config of a loader's data set, inside of all that wraps it; of several the first. None if there is none."""
    dataset = (loader or {}).get('dataset')
    while dataset:
        inner = dataset.get('dataset') or next(iter(dataset.get('datasets') or []), None)
        if not inner:
            break
        dataset = inner
    return dataset
