"""Names without what ``torch.compile`` puts into them: ``head.weight`` is ``head._orig_mod.weight`` once the head is
compiled. Files have names as if nothing were compiled.
"""

from collections.abc import MutableMapping
from typing import Any

from torch import nn

COMPILED = '_orig_mod'


def plain_name(name: str) -> str:
    """A name, a path or a prefix without the parts that come from compiling."""
    return '.'.join(part for part in name.split('.') if part != COMPILED)


def class_name(module: nn.Module) -> str:
    """Name of the class of a module, compiled or not."""
    return type(module._modules.get(COMPILED, module)).__name__


def use_plain_names(state_dict: MutableMapping[str, Any]) -> None:
    """Give the entries of a state dict their plain names, in place."""
    for key in [key for key in state_dict if plain_name(key) != key]:
        state_dict[plain_name(key)] = state_dict.pop(key)


def use_names_of(module: nn.Module, state_dict: MutableMapping[str, Any], prefix: str) -> None:
    """Give the entries of a state dict under a prefix the names that they have in a module of which parts may be
    compiled, in place, whatever was compiled where they come from.
    """
    modules = module.named_modules(remove_duplicate=False)
    compiled = [f'{path}.' if path else '' for path, inner in modules if COMPILED in inner._modules]
    for key in [key for key in state_dict if key.startswith(prefix)]:
        name = plain_name(key[len(prefix) :])
        for path in compiled:  # the outer ones first: the paths of those inside begin with theirs
            if name.startswith(path):
                name = f'{path}{COMPILED}.{name[len(path) :]}'
        if prefix + name != key:
            state_dict[prefix + name] = state_dict.pop(key)
