"""Configs: where the shipped ones are, how one is read, how its backbone and its tuning method are swapped, and a
sentence for what cannot be built.
"""

from .backbones import forget_parts, load_backbone, set_backbone
from .names import available_backbones, available_tunings, configs_root, find_config, head_and_backbone, run_stem
from .reading import (
    check_parts,
    config_from_text,
    config_of,
    explain_build_errors,
    open_config,
    read_config,
    set_options,
    variable_behind,
)
from .tunings import load_tuning, own_methods, set_tuning, tuned_backbone_of

__all__ = [
    'available_backbones',
    'available_tunings',
    'check_parts',
    'config_from_text',
    'config_of',
    'configs_root',
    'explain_build_errors',
    'find_config',
    'forget_parts',
    'head_and_backbone',
    'load_backbone',
    'load_tuning',
    'open_config',
    'own_methods',
    'read_config',
    'run_stem',
    'set_backbone',
    'set_options',
    'set_tuning',
    'tuned_backbone_of',
    'variable_behind',
]
