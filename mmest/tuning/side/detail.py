"""What a coarse first output has lost of the image."""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute

from mmest.tuning.depthwise import DepthwiseConv2d
from mmest.tuning.side.network import zero_linear


class Detail(nn.Module):
    """The image at a finer stride than an output, as a correction of that output: zero at the start.

    3×3 convolutions of stride 2 down to a stride of at least 4 and half that of the output; there a block of ConvNeXt's
    kind (depthwise 7×7, then two linear layers); then the positions that lie within one of the output, side by side,
    through a linear layer. What upsamples the output behind it (a pyramid on a plain transformer of stride 16, say) can
    unfold them again.

    Args:
        channels: C of the output.
        stride: of the output.
        image_channels: of the image.
    """

    def __init__(self, channels: int, stride: int, image_channels: int) -> None:
        super().__init__()
        width = 64
        layers, reached = [*_halving(image_channels, width // 2), *_halving(width // 2, width)], 4
        while 2 * reached < stride:
            layers += _halving(width, width)
            reached *= 2
        self.layers = nn.Sequential(*layers)
        self.local = nn.Sequential(
            DepthwiseConv2d(width, 7),
            nn.GroupNorm(1, width),
            nn.Conv2d(width, 2 * width, 1),
            nn.GELU(),
            nn.Conv2d(2 * width, width, 1),
        )
        self.ratio = max(1, round(stride / reached))
        self.expand = zero_linear(width * self.ratio**2, channels)

    def forward(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """The image, B×·×H×W, to B×C×H'×W', (H', W') = size."""
        # Its maps are the largest of a side network, and its backward pass comes when those of neck and head are gone:
        # made again there, they add little to the peak. Nothing in it is random, so no generator's state is kept.
        if self.training:
            x = recompute(self._fine, image, use_reentrant=False, preserve_rng_state=False)
        else:
            x = self._fine(image)
        fine = (size[0] * self.ratio, size[1] * self.ratio)
        if tuple(x.shape[-2:]) != fine:  # an image whose sides are no multiples of the stride
            x = F.interpolate(x, fine, mode='bilinear')
        return self.expand(F.pixel_unshuffle(x, self.ratio).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def _fine(self, image: Tensor) -> Tensor:
        """B×·×H×W to the maps at the finer stride."""
        x = self.layers(image)
        return x + self.local(x)


def _halving(before: int, channels: int) -> list[nn.Module]:
    return [nn.Conv2d(before, channels, 3, 2, 1, bias=False), nn.GroupNorm(8, channels), nn.GELU()]
