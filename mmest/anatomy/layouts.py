"""How the features of a module lie: B×C×H×W, B×H×W×C, or B×L×C tokens."""

from collections.abc import Callable

from torch import Tensor

from mmest.anatomy.grids import Grid, is_scaled


def is_channels_first(
    x: Tensor | None, channels: int, image: Grid, acts_on_last: Callable[[], bool] = lambda: False
) -> bool:
    """Whether x is B×C×H×W, in a block of so many channels and for an image of that height and width. Of a square map
    with as many channels as rows, and of no other, it is asked whether what works on it acts on the last dimension.
    """
    if x is None or x.ndim != 4 or not is_scaled(x.shape[2:], image):
        return False
    if x.shape[1] == x.shape[2] == x.shape[3]:
        return not acts_on_last()
    return x.shape[1] == channels or x.shape[3] != channels  # the input of a block may have other channels


def channels_last_shape(x: Tensor, first: bool) -> tuple[int, ...]:
    """The shape with channels last."""
    return (x.shape[0], *x.shape[2:], x.shape[1]) if first else tuple(x.shape)


def has_channels(x: Tensor, channels: int, image: Grid) -> bool:
    """Whether x, however it lies, has so many channels."""
    return channels_last_shape(x, is_channels_first(x, channels, image))[-1] == channels
