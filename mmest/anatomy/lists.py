"""Where the lists of blocks of a backbone are, by what its modules contain."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from torch import Tensor, nn

_LISTS = (nn.ModuleList, nn.Sequential)


def _weight_layers(module: nn.Module) -> list[nn.Module]:
    return [m for m in module.modules() if isinstance(getattr(m, 'weight', None), Tensor) and m.weight.ndim >= 2]


def _heavy(container: nn.Module) -> dict[str, nn.Module]:
    """The direct members with two weight layers or more. A position embedding among them does no harm."""
    return {name: child for name, child in container.named_children() if len(_weight_layers(child)) >= 2}


def _are_alike(modules: Iterable[nn.Module]) -> bool:
    return len({type(module) for module in modules}) == 1


def _are_lists(modules: Iterable[nn.Module]) -> bool:
    return any(isinstance(module, _LISTS) for module in modules)


def _is_list(container: nn.Module) -> bool:
    """A list whose heavy members are of one class, none a list itself."""
    heavy = _heavy(container).values()
    return isinstance(container, _LISTS) and _are_alike(heavy) and not _are_lists(heavy)


def _is_named_list(container: nn.Module) -> bool:
    """Like members under names of their own: in a dict (DenseNet), or all that a module has (timm's RegNet)."""
    heavy, alone = _heavy(container), isinstance(container, nn.ModuleDict)
    return (
        len(heavy) > 1
        and (alone or len(heavy) == len(list(container.children())))
        and _are_alike(heavy.values())
        and not _are_lists(heavy.values())
    )


def _is_mixed_list(container: nn.Module) -> bool:
    """A list whose heavy members are of several classes (DaViT: attention over positions and over channels in turn)."""
    heavy = _heavy(container).values()
    return isinstance(container, _LISTS) and len(heavy) > 0 and not _are_lists(heavy)


def _is_other_list(container: nn.Module) -> bool:
    return _is_named_list(container) or _is_mixed_list(container)


def _is_list_of_lists(container: nn.Module) -> bool:
    """A list whose members are rows of layers (ConvMixer)."""
    heavy = _heavy(container).values()
    return isinstance(container, nn.Sequential) and len(heavy) > 1 and all(type(m) is nn.Sequential for m in heavy)


def _is_part_of_block(backbone: nn.Module, name: str, lists: Sequence[str]) -> bool:
    """Whether a list of one is a part of a block: one of several lists (attentions, ffns, norms) in a member of another
    list. A stage of depth one, in contrast, is the only list of its stage.
    """
    parent = name.rpartition('.')[0]
    if len(_heavy(backbone.get_submodule(name))) > 1 or parent.rpartition('.')[0] not in lists:
        return False
    siblings = backbone.get_submodule(parent).children()
    return sum(isinstance(m, _LISTS) for m in siblings) > 1


def _lies_in(name: str, other: str) -> bool:
    return name != other and name.startswith(f'{other}.' if other else '')


def _innermost(backbone: nn.Module, is_list: Callable[[nn.Module], bool], without: Collection[str]) -> list[str]:
    lists = [
        name for name, module in backbone.named_modules() if _without_numbers(name) not in without and is_list(module)
    ]
    lists = [name for name in lists if not _is_part_of_block(backbone, name, lists)]
    return [name for name in lists if not any(_lies_in(other, name) for other in lists)]


def _without_numbers(name: str) -> str:
    return re.sub(r'\d+', '#', name)


def find_block_names(backbone: nn.Module, without: Collection[str] = ()) -> list[str]:
    """Names of the modules that are blocks: the like members, each with at least two weight layers, of the innermost
    lists of a backbone, and the members, like or not, of lists whose names differ from theirs by numbers alone: the
    stages that mix blocks of several classes. Where no list has like members, other kinds of lists count.

    Args:
        backbone: the backbone.
        without: lists that do not count, nor those whose names differ from theirs by numbers alone; those around them
            do.
    """
    without = {_without_numbers(name) for name in without}
    kinds = (_is_list, _is_other_list, _is_list_of_lists)
    found = next((lists for kind in kinds if (lists := _innermost(backbone, kind, without))), [])
    patterns = {_without_numbers(name) for name in found}
    names = [
        name
        for name, module in backbone.named_modules()
        if name in found
        or (
            _without_numbers(name) in patterns
            and not _are_lists(_heavy(module).values())
            and not any(_lies_in(name, other) or _lies_in(other, name) for other in found)
        )
    ]
    return [f'{name}.{member}' if name else member for name in names for member in _heavy(backbone.get_submodule(name))]
