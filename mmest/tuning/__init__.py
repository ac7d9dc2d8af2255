"""Tuning methods: one file each, chosen by name through one registry."""

import importlib
import inspect
import json
import pkgutil
from typing import Any

from torch import nn

from mmest.registry import TUNINGS
from mmest.tuning.base import TuningMethod
from mmest.tuning.knobs import check_knobs

# Importing every file of this folder registers its method, so that a new method is one new file.
for _module in pkgutil.walk_packages(__path__, f'{__name__}.'):
    importlib.import_module(_module.name)


def tuning_names() -> list[str]:
    """Names of all registered methods."""
    return sorted(TUNINGS.module_dict)


def build_tuning(cfg: dict, backbone: nn.Module) -> TuningMethod:
    """Build a tuning method for a backbone.

    Args:
        cfg: ``dict(type=NAME, ...)`` with the method's arguments.
        backbone: the backbone that it will tune.

    Raises:
        ValueError: no method has that name, or what has it is none; it has no such argument, or one of another type or
            outside its limits, or lacks one; it finds nothing to train in the backbone.
    """
    kind = _class_of(cfg)
    if kind is None:
        found = cfg.get('type') if isinstance(cfg, dict) else cfg
        raise ValueError(
            f'tuning should be dict(type=NAME, ...) with NAME one of {", ".join(tuning_names())}, but it is {found!r}.'
        )
    if not (inspect.isclass(kind) and issubclass(kind, TuningMethod)):
        raise ValueError(
            f'{kind.__name__} is registered as a tuning method, but does not derive from TuningMethod. Derive it '
            'from that, or from SideNetwork for a method beside the backbone, or from InsertedMethod for one inside.'
        )
    arguments = {key: value for key, value in cfg.items() if key != 'type'}
    check_knobs(kind, arguments)
    method = kind(backbone, **arguments)
    if method.trains and not any(True for _ in (*method.parameters(), *method.trained_parameters(backbone))):
        if not any(p.requires_grad for p in backbone.parameters()):
            raise ValueError(
                f'{kind.__name__} finds nothing to train in {type(backbone).__name__}: all of its parameters have '
                'requires_grad=False. Set it to True for those that may train.'
            )
        raise ValueError(
            f'{kind.__name__} finds no place to act in {type(backbone).__name__}: it acts {method.acts_on}, where no '
            'block has a branch that keeps its shape. Use another method.'
        )
    return method


def _class_of(cfg: Any) -> type[TuningMethod] | None:
    """The method of a config, by its name, or by the class or its path, as configs in pure Python style have it."""
    kind = cfg.get('type') if isinstance(cfg, dict) else None
    named = TUNINGS.module_dict.items()
    return next((cls for name, cls in named if kind in (name, cls, f'{cls.__module__}.{name}')), None)


def tuning_arguments(cfg: dict) -> dict[str, Any]:
    """All arguments of a method, those that its config leaves out included, as JSON would give them back."""
    arguments = {key: value for key, value in cfg.items() if key != 'type'}
    bound = inspect.signature(_class_of(cfg)).bind(None, **arguments)
    bound.apply_defaults()
    named = dict(list(bound.arguments.items())[1:])  # the first is the backbone
    return json.loads(json.dumps(named, default=str))


__all__ = ['TUNINGS', 'TuningMethod', 'build_tuning', 'tuning_arguments', 'tuning_names']
