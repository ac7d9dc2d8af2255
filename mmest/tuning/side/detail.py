"""What a coarse first output has lost of the image."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from mmest.tuning.side.network import zero_linear


class Detail(nn.Module):
    """The image at a finer stride than an output, as a correction of that output: zero at the start.

    3×3 convolutions of stride 2 down to a stride of at most 8; there a block of ConvNeXt's kind (depthwise 7×7, then
    two linear layers); then the positions that lie within one of the output, side by side, through a linear layer. What
    upsamples the output behind it (a pyramid on a plain transformer of stride 16, say) can unfold them again.

    Args:
        channels: C of the output.
        stride: of the output, a power of two.
        widths: of the convolutions.
    """

    def __init__(self, channels: int, stride: int, widths: Sequence[int] = (32, 64, 64)) -> None:
        super().__init__()
        layers, before = [], 3
        for width in widths[: max(1, stride.bit_length() - 1)]:
            layers += [nn.Conv2d(before, width, 3, 2, 1, bias=False), nn.GroupNorm(8, width), nn.GELU()]
            before = width
        self.layers = nn.Sequential(*layers)
        self.local = nn.Sequential(
            nn.Conv2d(before, before, 7, padding=3, groups=before),
            nn.GroupNorm(1, before),
            nn.Conv2d(before, 2 * before, 1),
            nn.GELU(),
            nn.Conv2d(2 * before, before, 1),
        )
        self.ratio = max(1, stride // 2 ** (len(layers) // 3))
        self.expand = zero_linear(before * self.ratio**2, channels)

    def forward(self, image: Tensor, size: tuple[int, int]) -> Tensor:
        """B×3×H×W to B×C×H'×W', (H', W') = size."""
        x = self.layers(image)
        x = x + self.local(x)
        fine = (size[0] * self.ratio, size[1] * self.ratio)
        if tuple(x.shape[-2:]) != fine:  # an image whose sides are no multiples of the stride
            x = F.interpolate(x, fine, mode='bilinear')
        return self.expand(F.pixel_unshuffle(x, self.ratio).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
