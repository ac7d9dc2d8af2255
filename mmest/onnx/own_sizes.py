"""Models that a graph of a size cannot follow are refused before it is made, with the way out."""

import torch

from mmest.prediction.loading import shown_by_steps
from mmest.prediction.model import Model

from .graph import Segmentor


def refuse_windows(model: Model, graph: Segmentor) -> None:
    """A segmentor that slides a window over what is larger: a graph sees all of a picture at once."""
    cfg = getattr(model.network, 'test_cfg', None) or {}
    if cfg.get('mode') != 'slide':
        return
    windows, crop = f'The segmentor looks at windows of {tuple(cfg["crop_size"])} pixels', cfg['crop_size']
    if graph.multiple:
        raise ValueError(
            f'{windows}, so it has a size: leave --dynamic out, and name a tile of at most that size by --tile.'
        )
    least = graph.padded((1, 1))
    if any(side > most for side, most in zip(least, crop)):
        raise ValueError(
            f'{windows}, but its data_preprocessor fills pictures up to {least[0]}×{least[1]}, and a graph sees all of '
            'a picture at once. Predict from the checkpoint.'
        )
    if any(side > most for side, most in zip(graph.padded((graph.side, graph.side)), crop)):
        raise ValueError(
            f'{windows}, but a tile has {graph.side}: name a smaller one, --tile {int(min(crop) / model.factor)}.'
        )


def refuse_other_sizes(model: Model, size: tuple[int, int], dynamic: bool) -> None:
    """A test pipeline that changes sizes after it has resized, as Pad: a graph knows nothing of it."""
    resized = None
    for step, shown in shown_by_steps(model.network.cfg.test_pipeline, size):
        made = shown.shape[:2]
        resized = resized or made
        if made != resized:
            fitting = f'take a tile that it leaves as it is, --tile {int(max(made) / model.factor)}'
            way_out = 'leave --dynamic out' if dynamic else fitting
            raise ValueError(
                f'The test pipeline has {step["type"]}, which makes {made[0]}×{made[1]} pixels of '
                f'{resized[0]}×{resized[1]}, and a graph does not: {way_out}.'
            )


def refuse_attention_in_windows(network: torch.nn.Module) -> None:
    """Before torch is at it: what it works out of sizes padded to whole windows grows until no end is in sight."""
    for name, module in network.named_modules():
        window = getattr(module, 'window_size', None) or getattr(module, 'window', None)
        if window:
            raise ValueError(
                f'{type(module).__name__} ("{name}") works in windows of side {window}, to which maps are padded, and '
                f'torch {torch.__version__} does not finish a graph in which that depends on the size of the '
                'picture: leave --dynamic out, and it takes tiles of one size (--tile).'
            )
