"""Where in a file the weights of a backbone are: what their names have in front of the backbone's own."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from mmest.checkpoints.compiled_names import COMPILED, plain_name

MIN_COVERAGE = 0.95
# Of an ordinary backbone file, a detector or segmentor, and one whose backbone was wrapped already: where a file holds
# the backbone more than once, it is this one.
_USUAL = ('', 'backbone.', 'backbone.backbone.')
# What torch's own wrappers put in, for several devices and for compiling.
_WRAPPERS = ('module', COMPILED)


def weights_of(file: Any) -> dict[str, Tensor]:
    """The tensors of a file by name; of tables in tables the names are joined by dots."""
    if not isinstance(file, Mapping):
        return {}
    main = next((file[name] for name in ('state_dict', 'model') if isinstance(file.get(name), Mapping)), file)
    return dict(_flat(main))


def _flat(table: Mapping, before: str = '') -> Iterator[tuple[str, Tensor]]:
    for key, value in table.items():
        if isinstance(value, Tensor):
            yield f'{before}{key}', value
        elif isinstance(value, Mapping):
            yield from _flat(value, f'{before}{key}.')


def find_prefix(state: Mapping[str, Tensor], backbone: nn.Module, named: str | None = None) -> str | None:
    """The prefix under which a file has a backbone, by names and shapes; None where it has to be converted, if it is
    there at all.

    Args:
        state: the tensors of the file.
        backbone: the backbone.
        named: the one prefix that comes into question.

    Raises:
        ValueError: there are several of equal right, or nothing is under the named one.
    """
    own = {plain_name(name): value for name, value in backbone.state_dict().items()}
    sizes = {plain_name(name): p.numel() for name, p in backbone.named_parameters()}
    found: dict[str, list[str]] = {}
    for key in state:
        parts = key.split('.')
        for start in range(len(parts)):
            name = '.'.join(parts[start:])
            if name in own:
                found.setdefault(key.removesuffix(name), []).append(name)
    fitting = {
        _without_wrappers(prefix): prefix
        for prefix, names in found.items()
        if all(state[prefix + name].shape == own[name].shape for name in names)
        and sum(sizes.get(name, 0) for name in names) >= MIN_COVERAGE * sum(sizes.values())
    }
    if named:
        wanted = _without_wrappers(f'{named.rstrip(".")}.')
        if not any(_without_wrappers(key).startswith(wanted) for key in state):  # backbones' own loaders do not ask
            raise ValueError(f'it holds nothing under the prefix "{named}" of the init_cfg.')
        return fitting.get(wanted)
    for usual in _USUAL:
        if usual in fitting:
            return fitting[usual]
    if len(fitting) > 1:
        places = sorted(prefix.rstrip('.') for prefix in fitting)
        raise ValueError(
            f'it holds {type(backbone).__name__} {len(places)} times, under {", ".join(places)}. Name one: prefix=... '
            f'in the init_cfg, or --cfg-options model.backbone.backbone.init_cfg.prefix={places[-1]}'
        )
    return next(iter(fitting.values()), None)


def _without_wrappers(prefix: str) -> str:
    return '.'.join(part for part in prefix.split('.') if part not in _WRAPPERS)
