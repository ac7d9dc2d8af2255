"""What files and checkpoints give a backbone, and what they do not."""

from collections.abc import Iterable

from mmengine.logging import print_log
from torch import Tensor, nn

from mmest.backbones.frozen_precision import PRECISIONS, FrozenPrecision
from mmest.checkpoints.compiled_names import plain_name
from mmest.checkpoints.digests import digests
from mmest.checkpoints.pretrained import Coverage


def given_by_file(backbone: nn.Module, coverage: Coverage, frozen: Iterable[tuple[str, Tensor]]) -> dict[str, str]:
    """Digests of the frozen tensors that a file gives; what of them it lacks is said."""
    lost = set(coverage.missing)
    random = [name for name, p in backbone.named_parameters() if name in lost and not p.requires_grad and p.ndim > 1]
    print_log(str(coverage), logger='current')
    if random:
        print_log(
            f'{len(random)} frozen weights of {coverage.backbone} stay random, because the file lacks them, '
            f'first {random[0]}. Is it the file of this very backbone?',
            logger='current',
            level=30,
        )
    # Buffers may be drawn, as weights are: frequencies of random Fourier features, or the order of a random
    # permutation, which looks like a table of positions (relative_position_index).
    lost.update(coverage.missing_buffers)
    return digests((name, tensor) for name, tensor in frozen if name not in lost or _is_never_drawn(tensor))


def _is_never_drawn(tensor: Tensor) -> bool:
    """Whether every build gives a tensor the same: a constant. A single value is one where it is zero, as counters
    (num_batches_tracked) and gates are.
    """
    return is_constant(tensor) and (tensor.numel() != 1 or not tensor.any())


def is_constant(tensor: Tensor) -> bool:
    """Whether all values of a tensor are equal."""
    values = tensor.detach().flatten()
    return bool((values == values[:1]).all())


def say_what_is_rounded(
    precision: FrozenPrecision, backbone: nn.Module, state_dict: dict[str, Tensor], prefix: str
) -> None:
    """Warn of the frozen weights under a prefix of a state dict that no pretrained file gives, and that are rounded."""
    given = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
    lost = precision.lost(backbone, given)
    if lost:
        print_log(
            f'{len(lost)} frozen weights of {type(backbone).__name__} that the checkpoint has in float32 are '
            f'rounded to {PRECISIONS[precision.dtype]} by frozen_dtype, first {lost[0]}. No pretrained file '
            'gives them back, so deltas and exports have them rounded too. Name the file that has them in the '
            f'init_cfg of the backbone, or leave frozen_dtype (--memory frozen_{precision.dtype}) out.',
            logger='current',
            level=30,
        )


def names_in(backbone: nn.Module, state_dict: dict[str, Tensor], prefix: str) -> set[str]:
    """Plain names of the backbone's parameters that a state dict has, in their shape."""
    given = [(name, state_dict.get(f'{prefix}{name}'), p.shape) for name, p in backbone.named_parameters()]
    return {plain_name(name) for name, value, shape in given if isinstance(value, Tensor) and value.shape == shape}


def share_of(backbone: nn.Module, names: set[str]) -> float:
    """How much of the backbone's parameters those of these plain names are."""
    sizes = {name: p.numel() for name, p in backbone.named_parameters()}
    return sum(size for name, size in sizes.items() if plain_name(name) in names) / max(sum(sizes.values()), 1)
