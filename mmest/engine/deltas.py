"""Delta checkpoints and optimizer groups for training loops of one's own, in plain PyTorch or Lightning."""

from pathlib import Path

from torch import Tensor, nn

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.checkpoints.compiled_names import plain_name
from mmest.checkpoints.delta import DELTA_KEY, strip_frozen
from mmest.checkpoints.files import save_file
from mmest.checkpoints.finite import refuse_not_finite
from mmest.checkpoints.prefixes import weights_of
from mmest.checkpoints.safe import load_file
from mmest.engine.optim import apply_methods, merge_groups
from mmest.engine.processes import unwrapped


def trainable_parameters(model: nn.Module, lr: float, weight_decay: float = 0.0) -> list[dict]:
    """Parameter groups for any optimizer of torch: all that trains in a model, and nothing that is frozen.

    Args:
        model: a model with a tuned module in it, or the tuned module itself.
        lr: learning rate; what a method trains gets its ``lr_mult`` of it.
        weight_decay: of all but the scales, gates and biases that the method adds, and the norms and biases of the
            backbone where it trains these alone.
    """
    groups = [dict(params=[p], lr=lr, weight_decay=weight_decay) for p in model.parameters() if p.requires_grad]
    apply_methods(groups, model, lr)
    return merge_groups(groups)


def save_delta(model: nn.Module, path: str | Path) -> Path:
    """Write what trained in a model: method, neck, heads and their buffers, and a fingerprint of what is frozen.

    Args:
        model: a model with a tuned module in it, or the tuned module itself; also inside ``DistributedDataParallel`` or
            ``torch.compile``, of which the file knows nothing.
        path: the file; it appears when it is whole.

    Returns:
        The path.

    Raises:
        ValueError: nothing in the model is tuned by mmest, or what is was merged, or it holds what is not finite.
    """
    model = unwrapped(model)
    tuned = _tuned(model)
    checkpoint = dict(state_dict=model.state_dict())
    strip_frozen(tuned, checkpoint, {name: module.frozen_digests() for name, module in tuned})
    refuse_not_finite(
        model, checkpoint['state_dict'], 'The model', 'its training diverged, and no delta of it is written.'
    )
    save_file(checkpoint, Path(path))
    return Path(path)


def load_delta(model: nn.Module, path: str | Path) -> nn.Module:
    """Load what :func:`save_delta` or a training wrote into a model that was built and tuned in the same way.

    Args:
        model: as of :func:`save_delta`.
        path: the file.

    Returns:
        The model.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is damaged, holds no weights or what is not finite, is of another method, of other arguments, of
            another backbone, or of one in another place; the model is not tuned, or was merged.
        RuntimeError: neck or head are of other shapes.
    """
    inner = unwrapped(model)
    here = {plain_name(name) for name, _ in _tuned(inner)}
    state = _weights_in(path, inner)
    there = {plain_name(key).removesuffix(DELTA_KEY).rstrip('.') for key in state if key.endswith(DELTA_KEY)}
    if there and there != here:
        raise ValueError(
            f'{path} is of a model with {_said(there)}, but this {type(inner).__name__} is one with {_said(here)}. '
            'Load it into a model that was built in the same way.'
        )
    inner.load_state_dict(state, strict=True)
    refuse_not_finite(inner, state, str(path))
    return model


def _weights_in(path: str | Path, model: nn.Module) -> dict[str, Tensor]:
    state = weights_of(load_file(path))
    if not state:
        raise ValueError(f'{path} holds no weights: it is not what save_delta or a training wrote.')
    # Some write what DistributedDataParallel has, names and all; mmengine takes that too.
    if all(key.startswith('module.') for key in state) and 'module' not in model._modules:
        state = {key.removeprefix('module.'): value for key, value in state.items()}
    return state


def _said(places: set[str]) -> str:
    named = [f'tuned "{place}"' if place else 'nothing around what is tuned' for place in sorted(places)]
    return ' and '.join(named)


def _tuned(model: nn.Module) -> list:
    found = tuned_backbones(model)
    if not found:
        raise ValueError(f'Nothing in this {type(model).__name__} is tuned: wrap its backbone by mmest.tune() first.')
    for _, tuned in found:
        tuned.refuse_merged()
    return found
