"""How many channels the images of a model have."""

from torch import nn

from mmest.anatomy.probe import image_channels

#: Of the images that mmest reads: RGB, grey three times.
READ = 3


def channels_of(model: nn.Module) -> int:
    """Channels of the images that a detector or a segmentor takes: those of its backbone, tuned or not; 3 where that
    does not tell.
    """
    backbone = getattr(model, 'backbone', None)
    if backbone is None:
        return READ
    try:
        asked = getattr(backbone, 'image_channels', None)  # of a tuned one, which knows the precision that it runs in
        return image_channels(backbone) if asked is None else asked
    except ValueError:  # it takes no trial image; what runs it says why
        return READ
