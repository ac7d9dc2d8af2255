"""Which levers there are, and how a config turns them on."""

import difflib
import importlib
import pkgutil
from collections.abc import Sequence

from mmengine.config import Config
from torch import nn

from .base import Lever

#: The word for all that are safe.
LOWEST = 'lowest'


def levers() -> list[Lever]:
    """All levers, in the order in which they are added one by one."""
    # Importing every file of this folder makes its lever known, so that a new lever is one new file.
    for module in pkgutil.iter_modules(importlib.import_module(__package__).__path__):
        importlib.import_module(f'{__package__}.{module.name}')
    return sorted((kind() for kind in Lever.__subclasses__()), key=lambda lever: lever.order)


def named(cfg: Config) -> list[Lever]:
    """The levers that a config's ``memory`` names, ``lowest`` being all that are safe and suit its method and model.

    Raises:
        ValueError: there is none of a name, or it does not suit; the config has no TunedBackbone.
    """
    asked = cfg.get('memory') or []
    asked = [asked] if isinstance(asked, str) else list(asked)
    if asked and not (cfg.get('model') or {}).get('backbone', {}).get('tuning'):
        raise ValueError(
            f'memory={asked} is for models whose backbone is a TunedBackbone with a method of its own; '
            f'{cfg.filename or "the config"} has none. Pass --tuning NAME.'
        )
    known = {lever.name: lever for lever in levers()}
    if LOWEST in asked:  # what the model of the config says by itself is a choice as well
        by_itself = [name for name, lever in known.items() if lever.is_on(cfg) and not lever.unsuited(cfg)]
        asked += [name for name in by_itself if name not in asked]
    for name in asked:
        if name != LOWEST and name not in known:
            near = difflib.get_close_matches(str(name), [LOWEST, *known], n=1)
            hint = f'Did you mean {near[0]}?' if near else f'There are {LOWEST}, {", ".join(known)}.'
            raise ValueError(f'There is no lever on memory named "{name}". {hint}')
        reason = known[name].unsuited(cfg) if name in known else None
        if reason:
            raise ValueError(f'The lever {name} does not suit this training: {reason}. Leave it out, or say {LOWEST}.')
    outdone = {lever.outdone_by: lever.name for lever in known.values() if lever.name in asked}
    for name in asked:
        if name in outdone:
            raise ValueError(f'The levers {outdone[name]} and {name} do the same. Name one of them.')
    lowest: dict[str, Lever] = {}
    if LOWEST in asked:  # but for what was asked for in another way
        suited = {lever.name: lever for lever in known.values() if lever.safe and not lever.unsuited(cfg)}
        lowest = {
            name: lever
            for name, lever in suited.items()
            if name not in outdone and lever.outdone_by not in {*suited, *asked}
        }
    return [lever for name, lever in known.items() if name in asked or name in lowest]


def configure(cfg: Config) -> None:
    """Turn on, in place, what of a config's ``memory`` acts on the config; ``memory`` becomes the list of names.

    Raises:
        ValueError: see :func:`named`.
    """
    if not cfg.get('memory'):
        return
    chosen = named(cfg)
    for lever in chosen:
        lever.configure(cfg)
    cfg.memory = [lever.name for lever in chosen]


def put_on(model: nn.Module, names: Sequence[str]) -> list[str]:
    """Turn on, in place, what of the named levers acts on a model, not wrapped for several processes.

    Returns:
        Sentences about parts that stay as they are.
    """
    return [said for lever in levers() if lever.name in names for said in lever.put_on(model)]
