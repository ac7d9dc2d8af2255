"""Loading the weights of a backbone, and the proof of how much of it the file covered."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from mmengine.logging import print_log
from mmengine.runner.checkpoint import load_state_dict
from torch import Tensor, nn

from mmest.checkpoints.compiled_names import plain_name
from mmest.checkpoints.finite import refuse_not_finite
from mmest.checkpoints.named_pretrained import names_pretrained
from mmest.checkpoints.prefixes import MIN_COVERAGE, find_prefix, weights_of
from mmest.checkpoints.safe import load_file, safe_loading


@dataclass(frozen=True)
class Coverage:
    """How much of a backbone a pretrained file covered, counted in parameters.

    Attributes:
        backbone: its class.
        source: the file.
        covered: number of parameters that got their values from it.
        total: number of parameters of the backbone.
        missing: names of those that the file lacks.
        prefix: what the names of the backbone begin with in the file.
        misshapen: names of those that are missing because they are of another shape in the file.
        missing_buffers: names of the buffers of its state dict that the file lacks.
    """

    backbone: str
    source: str
    covered: int
    total: int
    missing: tuple[str, ...]
    prefix: str = ''
    misshapen: tuple[str, ...] = ()
    missing_buffers: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        return self.covered / max(self.total, 1)

    def __str__(self) -> str:
        text = (
            f'{self.source} covers {self.share:.2%} of the parameters of {self.backbone} '
            f'({self.covered:,} of {self.total:,})'
        )
        if self.prefix:
            text += f', found under the prefix "{self.prefix}"'
        absent = [name for name in self.missing if name not in self.misshapen]
        for said, names in (('of another shape in it', self.misshapen), ('not in it', absent)):
            if names:
                more = f' and {len(names) - 5} more' if len(names) > 5 else ''
                text += f'; {said}: {", ".join(names[:5])}{more}'
        return text


def pretrained_source(backbone: nn.Module) -> str | None:
    """The file or link in the backbone's ``init_cfg``, or None."""
    cfg = names_pretrained(getattr(backbone, 'init_cfg', None))
    return cfg['checkpoint'] if cfg else None


@contextmanager
def _record_loaded(backbone: nn.Module) -> Iterator[tuple[set[str], set[str]]]:
    """Collect the names of the parameters and buffers that a state dict gives values of the right shape, and of those
    that it gives others.

    Watches the modules, not the file, so it counts what arrives after any conversion that the backbone does itself.
    """
    loaded: set[str] = set()
    misshapen: set[str] = set()
    handles = []
    for module_name, module in backbone.named_modules():
        own = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}

        def see(module, state_dict, prefix, *_, own=own, module_name=module_name):
            for name, tensor in own.items():
                value = state_dict.get(prefix + name)
                if isinstance(value, Tensor):  # torch copies nothing else
                    found = loaded if value.shape == tensor.shape else misshapen
                    found.add(f'{module_name}.{name}' if module_name else name)

        handles.append(module.register_load_state_dict_pre_hook(see))
    try:
        yield loaded, misshapen
    finally:
        for handle in handles:
            handle.remove()


def _load_directly(backbone: nn.Module, cfg: Mapping) -> tuple[str | None, list[str]]:
    """Load a file whose keys are the backbone's own, with or without a prefix.

    Returns:
        The prefix, or None, with nothing loaded, where the keys or shapes call for a conversion; and the file's keys.
    """
    source = cfg['checkpoint']
    state = weights_of(load_file(source))
    if not state:
        raise ValueError(f'"{source}" holds no weights: expected a table of tensors by name.')
    try:
        prefix = find_prefix(state, backbone, cfg.get('prefix'))
    except ValueError as error:
        raise ValueError(f'"{source}": {error}') from error
    if prefix is not None:
        _say_what_is_left(source, state, prefix)
        names = {name: prefix + plain_name(name) for name in backbone.state_dict()}
        load_state_dict(backbone, {name: state[key] for name, key in names.items() if key in state}, strict=False)
        backbone.is_init = True
    return prefix, list(state)


def _say_what_is_left(source: str, state: Mapping[str, Tensor], prefix: str) -> None:
    method = f'{prefix.removesuffix("backbone.")}method.' if prefix.endswith('backbone.backbone.') else None
    left = [key for key in state if method and key.startswith(method)]
    if left:
        print_log(
            f'{source} has {len(left)} tensors of the method that tuned this backbone, first {left[0]}: they are left '
            'out, and the maps are those of before that training. `mmest export --merge` folds LoRA and SSF in.',
            logger='current',
            level=30,
        )


def load_pretrained(backbone: nn.Module) -> Coverage | None:
    """Load the weights that a backbone's ``init_cfg`` names; without one, initialise it as it does by itself.

    Ordinary files of the backbone, detector or segmentor checkpoints and wrapped ones load alike; where keys or shapes
    need conversion, the backbone's own ``init_weights`` does it.

    Returns:
        What the file covered, or None if no file was named.

    Raises:
        FileNotFoundError: the file is not there or cannot be fetched.
        ValueError: it covers less than 95 % of the backbone's parameters, lacks statistics of norms whose parameters it
            has, or holds what is not finite.
    """
    cfg = names_pretrained(getattr(backbone, 'init_cfg', None))
    if cfg is None:
        if hasattr(backbone, 'init_weights'):  # a plain module has its start since it was built
            backbone.init_weights()
        return None
    kind, source = type(backbone).__name__, cfg['checkpoint']
    prefix, keys = None, []
    with _record_loaded(backbone) as (loaded, misshapen), safe_loading():
        try:
            prefix, keys = _load_directly(backbone, cfg)
            if prefix is None:
                backbone.is_init = False
                backbone.init_weights()
        except OSError as error:  # FileNotFoundError and the URLErrors of a download
            why = str(error.__cause__ or error).rstrip('.')
            raise FileNotFoundError(
                f'The pretrained weights of {kind}, "{source}", could not be read: {why}. A frozen backbone is nothing '
                'without them: fetch the file by other means, and name it by --weights FILE in mmest train, by '
                '--cfg-options model.backbone.backbone.init_cfg.checkpoint=FILE there and in mmest test, or in the '
                'config that mmest predict and mmest export take by --config.'
            ) from error
        except (IndexError, KeyError, AssertionError):
            pass  # a backbone's own loader met keys that it does not know; the coverage below says which are missing
    parameters = {name: p.numel() for name, p in backbone.named_parameters()}
    missing = [name for name in parameters if name not in loaded]
    total = sum(parameters.values())
    covered = total - sum(parameters[name] for name in missing)
    of_another_shape = tuple(name for name in missing if name in misshapen)
    kept = backbone.state_dict()
    buffers = tuple(name for name, _ in backbone.named_buffers() if name in kept and name not in loaded)
    coverage = Coverage(kind, source, covered, total, tuple(missing), prefix or '', of_another_shape, buffers)
    if coverage.share < MIN_COVERAGE:
        raise ValueError(
            f'{coverage}. At least {MIN_COVERAGE:.0%} is needed: the file belongs to another backbone or '
            'another layout of keys; check the init_cfg and the arguments of the backbone. The names in the file begin '
            f'with {", ".join(keys[:3])}.'
        )
    without = [name for name in _statistics_of_norms(backbone, loaded) if name not in loaded]
    if without:
        raise ValueError(
            f'{source} has the weights of {len(without) // 2} norms of {kind}, but not their statistics, first '
            f'{without[0]}: they would norm by a mean of 0 and a variance of 1. Write the file from state_dict(), '
            'which has them.'
        )
    refuse_not_finite(backbone, loaded, source)
    return coverage


def _statistics_of_norms(backbone: nn.Module, loaded: set[str]) -> Iterator[str]:
    """Names of the statistics of the norms whose parameters a file gave, and of those that have none."""
    for module_name, module in backbone.named_modules():
        before = f'{module_name}.' if module_name else ''
        own = [name for name, _ in module.named_parameters(recurse=False)]
        if not own or any(before + name in loaded for name in own):
            statistics = [name for name, _ in module.named_buffers(recurse=False) if name.startswith('running_')]
            yield from (before + name for name in statistics if name not in module._non_persistent_buffers_set)
