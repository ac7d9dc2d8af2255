"""What does not go together in a tuned backbone."""

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from mmest.anatomy.hooks import is_hooked
from mmest.backbones.saved_precision import SAVED
from mmest.tuning import TuningMethod


def refuse_tuned(backbone: nn.Module) -> None:
    """A backbone is tuned once.

    Raises:
        ValueError: a method acts in it.
    """
    if any(is_hooked(module) for module in backbone.modules()):
        raise ValueError(
            f'{type(backbone).__name__} is tuned already: what was added to it would run, unseen, inside of what is '
            'added now. Build the module anew for every method, or have the first one merge() into it.'
        )


def refuse_other_names(method: TuningMethod, names: Sequence[str], backbone: nn.Module) -> None:
    """A method that has put modules of its own in the place of the backbone's: pretrained files would not fit.

    Args:
        method: of the backbone.
        names: of the backbone's tensors, before the method was built.
        backbone: the backbone.

    Raises:
        ValueError: they have others now.
    """
    lost = set(names) ^ backbone.state_dict().keys()
    if lost:
        raise ValueError(
            f'{type(method).__name__} has renamed, added or removed {len(lost)} tensors of {type(backbone).__name__}, '
            f'such as "{min(lost)}": neither pretrained files nor checkpoints would fit. Keep what a method adds in '
            'its own modules, and act inside the backbone by hook_before, hook_after and hook_around.'
        )


def refuse_other_shapes(method: TuningMethod, features: Sequence[Tensor], tuned: Sequence[Tensor]) -> None:
    """Necks and heads are built for the maps of the backbone.

    Args:
        method: of the backbone.
        features: the backbone's maps, B×C×H×W each.
        tuned: what the method made of them.

    Raises:
        ValueError: there are more or fewer, or one has another shape.
    """
    shapes = [[tuple(x.shape) for x in maps] for maps in (features, tuned)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"{type(method).__name__} should give maps of the backbone's shapes, {shapes[0]}, but its forward gives "
            f'{shapes[1]}.'
        )


def refuse_fused(backbone: nn.Module, norms: Iterable[str], method: TuningMethod) -> None:
    """Norms that became a part of the convolutions in front of them (mmcv's ``fuse_conv_bn``) leave a method that
    changes these convolutions no place between the two.

    Args:
        backbone: the backbone.
        norms: names of the batch norms that it had.
        method: of the backbone.

    Raises:
        RuntimeError: one is fused, and the method changes what layers compute.
    """
    if not method.changes_layers:
        return
    gone = [name for name in norms if isinstance(backbone.get_submodule(name), nn.Identity)]
    if gone:
        kind = type(method).__name__
        way = ', or fold what was trained into the weights before: mmest export --merge' if method.can_merge else ''
        raise RuntimeError(
            f'"{gone[0]}" of {type(backbone).__name__} was fused with the convolution in front of it, between which '
            f'and the norm {kind} acts, so that results would be wrong. Leave --fuse-conv-bn out{way}.'
        )


def refuse_options(method: TuningMethod, frozen_dtype: str | None, saved_dtype: str | None, compile: bool) -> None:
    """What a frozen backbone runs in, and what is kept of it, as the method allows.

    Args:
        method: of the backbone.
        frozen_dtype, saved_dtype, compile: as of :class:`mmest.backbones.tuned_backbone.TunedBackbone`.

    Raises:
        ValueError: one does not go with the method, or with another; there is no such ``saved_dtype``.
    """
    kind, trains_inside = type(method).__name__, method.trains_inside()
    if frozen_dtype and trains_inside:
        raise ValueError(
            f"frozen_dtype='{frozen_dtype}' is for backbones frozen whole, but {kind} trains inside the backbone, and "
            'its gradients would pass through rounded weights. Leave frozen_dtype out, or take a method beside the '
            'backbone, such as EST.'
        )
    if frozen_dtype and method.reruns_backbone:
        raise ValueError(
            f'{kind} runs layers of the frozen backbone again and takes the difference of their results, of which '
            f"frozen_dtype='{frozen_dtype}' would leave little but rounding. Leave it out, or take another method."
        )
    if saved_dtype not in SAVED:
        raise ValueError(f"saved_dtype should be None, 'bf16' or 'int8', but it is {saved_dtype!r}.")
    if saved_dtype and not method.beside:
        raise ValueError(
            f"saved_dtype='{saved_dtype}' is for what a method beside the backbone keeps for backward, and {kind} is "
            'none. Leave saved_dtype out.'
        )
    if compile and frozen_dtype == 'int8':
        raise ValueError(
            "compile=True does not go with frozen_dtype='int8', whose weights are made bfloat16 one by one as they "
            "are used. Leave one of them out, or take frozen_dtype='bf16'."
        )
    if compile and trains_inside:
        raise ValueError(
            f'compile=True is for backbones frozen whole, but {kind} trains inside the backbone. Leave it out, or take '
            'a method beside the backbone, such as EST.'
        )
