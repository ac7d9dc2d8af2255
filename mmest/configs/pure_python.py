"""Configs in mmengine's pure Python style, which import classes, as configs of names: what all other code reads."""

import importlib
from collections.abc import Callable, Iterator
from inspect import isclass, isfunction
from typing import Any

import mmengine.registry
from mmengine.config import Config, ConfigDict
from mmengine.registry import Registry
from torch import nn

from mmest.registry import TUNINGS

_SCOPES = ('mmdet', 'mmseg', 'mmrotate')
# Other text is not taken for a path: to try it would import what is not meant.
_PACKAGES = (*_SCOPES, 'mmcv', 'mmengine', 'mmest', 'mmpretrain', 'torch')


def with_names(cfg: Config) -> Config:
    """A config with the registered name, or else the path, of each class and function that it imports.

    In what mmengine writes of such a config the paths are text, most often without a default scope: it gets names and
    the scope too. Configs of names are returned as they are.

    Args:
        cfg: as it was read.
    """
    model = cfg.get('model')
    kind = _found(model.get('type')) if isinstance(model, dict) else None
    imported = getattr(cfg, '_imported_names', None)
    if imported is None and kind is None:
        return cfg
    parts = {key: value for key, value in cfg.items() if key not in (imported or ())}
    scope = parts.get('default_scope') or _scope_of(kind)
    if scope:
        parts['default_scope'] = scope
    named = _named(parts, scope or 'mmengine')
    return Config(named, cfg_text=cfg.text, filename=cfg.filename, env_variables=cfg.env_variables)


def _found(value: Any) -> Callable | None:
    """The class or function that a value is, or is the path of."""
    if isinstance(value, str) and '.' in value:
        module, _, name = value.rpartition('.')
        try:
            # mmengine's get_object_from_string finds a function where the package has one of the module's name.
            value = getattr(importlib.import_module(module), name, None)
        except ImportError:
            return None
    return value if isclass(value) or isfunction(value) else None


def _scope_of(model: Callable | None) -> str | None:
    """The framework of a model, by its class or a base of that."""
    packages = [base.__module__.partition('.')[0] for base in getattr(model, '__mro__', ())]
    return next((package for package in packages if package in _SCOPES), None)


def _named(value: Any, scope: str) -> Any:
    if isinstance(value, dict):
        return ConfigDict({key: _named(inner, scope) for key, inner in value.items()})
    if isinstance(value, (list, tuple)):
        return type(value)(_named(inner, scope) for inner in value)
    path = isinstance(value, str) and value.partition('.')[0] in _PACKAGES
    found = _found(value) if path or not isinstance(value, str) else None
    return value if found is None else _name(found, scope)


def _name(found: Callable, scope: str) -> str:
    if found.__module__.startswith('mmcv.ops.'):
        return found.__name__  # its operators are looked up there
    if found is nn.SyncBatchNorm:
        return 'SyncBN'  # the registry has a subclass of it
    names = []
    for registry in _registries():
        here = registry.children.get(scope, registry)
        for owner in {registry, *registry.children.values()}:
            for name in (name for name, module in owner.module_dict.items() if module is found):
                names.append(name if here.get(name) is found else f'{owner.scope}.{name}')
    # Of several names the class's own.
    return min(names, key=lambda name: name != found.__name__, default=f'{found.__module__}.{found.__qualname__}')


def _registries() -> Iterator[Registry]:
    yield TUNINGS
    yield from (part for part in vars(mmengine.registry).values() if isinstance(part, Registry))
