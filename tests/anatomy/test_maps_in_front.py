"""Maps from in front of all blocks, as encoders of segmentation_models_pytorch and timm's ResNets return them."""

import pytest
import torch
from torch import nn
from toy import METHODS, SIDE

import mmest
from mmest.anatomy.blocks import find_anatomy


class Bottleneck(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, channels, 1), nn.BatchNorm2d(channels)

    def forward(self, x):
        return (x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))).relu()


class Encoder(nn.Module):
    """The image, a stem, and two stages."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(Bottleneck(8), Bottleneck(8))
        self.down = nn.Conv2d(8, 16, 2, 2)
        self.layer2 = nn.Sequential(Bottleneck(16), Bottleneck(16))

    def forward(self, x):
        maps = [x, self.bn1(self.conv1(x)).relu()]
        maps.append(self.layer1(nn.functional.max_pool2d(maps[-1], 2)))
        return [*maps, self.layer2(self.down(maps[-1]))]


def test_they_are_found_to_come_from_no_block():
    anatomy = find_anatomy(Encoder())
    assert [output.block for output in anatomy.outputs] == [None, 1, 3] and anatomy.feeding == {1, 3}


@pytest.mark.parametrize('method', METHODS)
def test_they_pass_through_and_the_others_are_tuned(method):
    torch.manual_seed(0)
    knobs = dict(METHODS[method])
    plain = Encoder().eval()
    image = torch.rand(2, 3, 36, 52)
    with torch.no_grad():
        expected = [x.clone() for x in plain(image)]
    tuned = mmest.tune(plain, knobs.pop('type'), **knobs)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(tuned.eval()(image), expected, strict=True))
    trained = [p for p in tuned.parameters() if p.requires_grad]
    if not trained:
        return
    optimizer = torch.optim.SGD(trained, lr=0.1)
    for _ in range(2):  # what starts behind zeros moves in the second
        optimizer.zero_grad()
        sum((f * torch.rand_like(f)).sum() for f in tuned.train()(image)[1:]).backward()
        assert not [name for name, p in tuned.named_parameters() if p.requires_grad and p.grad is None]
        optimizer.step()
    with torch.no_grad():
        found = tuned.eval()(image)
    assert torch.equal(found[0], image)
    assert not torch.equal(found[-1], expected[-1])
    if method in SIDE and method != 'side_tuning':  # which reads the image
        assert torch.equal(found[1], expected[1])
